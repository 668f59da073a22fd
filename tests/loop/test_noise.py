"""The hash that every random number comes from, against plain Python integers and fixed words."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from seedtune.runtime.noise import derive_seed, mix32, noise_words, permutation, rademacher

MASK = 0xFFFFFFFF
# Regenerate: .venv/bin/python -c "import numpy as np; from seedtune.runtime import noise as n;
#   print([hex(x) for x in n.mix32(np.array([0, 1, 2, 0xFFFFFFFF], np.uint32))], [hex(x) for x in n.noise_words(7, 4)],
#   n.derive_seed(7, 'probe', 3), n.permutation(7, 8).tolist())"
GOLDEN_MIX = {0: 0, 1: 0x688990C0, 2: 0xD1132181, MASK: 0x6768824A}
GOLDEN_WORDS = [0x0EE52293, 0xFF85E55C, 0x00DC02DE, 0xCBB11D33]
GOLDEN_DERIVED = 2653563543
GOLDEN_PERMUTATION = [2, 4, 0, 7, 5, 6, 3, 1]


def mix32_reference(x: int) -> int:
    """``lowbias32`` as its author lists it, on unbounded integers."""
    x ^= x >> 16
    x = x * 0x7FEB352D & MASK
    x ^= x >> 15
    x = x * 0x846CA68B & MASK
    return x ^ x >> 16


def noise_word_reference(seed: int, index: int) -> int:
    return mix32_reference(mix32_reference(index ^ seed) + seed * 0x9E3779B1 & MASK)


def words_to_try() -> np.ndarray:
    generator = np.random.default_rng(11)
    edges = np.array([0, 1, 2, 0x7FFFFFFF, 0x80000000, MASK - 1, MASK], np.uint32)
    return np.concatenate([edges, generator.integers(0, 1 << 32, 2000, dtype=np.uint32)])


def test_mix32_is_the_reference_listing() -> None:
    words = words_to_try()
    assert mix32(words).tolist() == [mix32_reference(int(word)) for word in words]


def test_mix32_gives_the_golden_words() -> None:
    assert {x: int(mix32(np.array([x], np.uint32))[0]) for x in GOLDEN_MIX} == GOLDEN_MIX


def test_mix32_keeps_shape_and_type() -> None:
    words = words_to_try()[:6].reshape(2, 3)
    assert mix32(words).shape == (2, 3)
    assert mix32(words).dtype == np.uint32


def test_mix32_is_a_bijection_where_it_can_be_undone() -> None:
    def undo(y: int) -> int:
        y ^= y >> 16
        y = y * pow(0x846CA68B, -1, 1 << 32) & MASK
        y ^= y >> 15 ^ y >> 30
        y = y * pow(0x7FEB352D, -1, 1 << 32) & MASK
        return y ^ y >> 16

    words = words_to_try()
    assert [undo(int(word)) for word in mix32(words)] == words.tolist()


@pytest.mark.parametrize("seed", [0, 1, 7, 0x80000000, MASK])
def test_noise_words_are_the_reference_listing(seed: int) -> None:
    assert noise_words(seed, 70).tolist() == [noise_word_reference(seed, index) for index in range(70)]


def test_noise_words_give_the_golden_words() -> None:
    assert noise_words(7, 4).tolist() == GOLDEN_WORDS


def test_a_shorter_stream_is_the_start_of_a_longer_one() -> None:
    assert np.array_equal(noise_words(5, 100)[:37], noise_words(5, 37))
    assert np.array_equal(rademacher(5, 3200)[:1001], rademacher(5, 1001))


@pytest.mark.parametrize("count", [1, 31, 32, 33, 100])
def test_rademacher_is_the_bits_of_the_words_lowest_first(count: int) -> None:
    expected = []
    for index in range(count):
        bit = noise_word_reference(9, index // 32) >> index % 32 & 1
        expected.append(1.0 if bit else -1.0)
    noise = rademacher(9, count)
    assert noise.dtype == np.float32
    assert noise.tolist() == expected


def test_rademacher_is_balanced_for_every_seed() -> None:
    count, seeds = 32_768, range(200)
    means = np.array([rademacher(seed, count).mean(dtype=np.float64) for seed in seeds]) * count**0.5
    # Standard normal if the signs are fair: five sigma for each, and a spread that is neither wide nor narrow.
    assert np.abs(means).max() < 5
    assert 0.8 < means.std() < 1.2


def test_neighbouring_seeds_are_uncorrelated() -> None:
    count = 32_768
    noise = np.stack([rademacher(seed, count) for seed in range(48)]).astype(np.float64)
    correlations = noise @ noise.T / count**0.5
    off_diagonal = correlations[np.triu_indices(48, 1)]
    assert np.abs(off_diagonal).max() < 5.5
    assert 0.9 < off_diagonal.std() < 1.1


def test_no_lag_within_a_stream_is_correlated() -> None:
    noise = rademacher(3, 65_536).astype(np.float64)
    for lag in (1, 2, 31, 32, 33, 64, 1024):
        assert abs(noise[:-lag] @ noise[lag:]) / (len(noise) - lag) ** 0.5 < 5, lag


def test_derived_seeds_differ_by_seed_purpose_and_counter() -> None:
    keys = itertools.product(range(20), ("probe", "sampler", "adapter"), range(50))
    seeds = [derive_seed(*key) for key in keys]
    # 3,000 draws of 2^32 collide once in a thousand tries; these do not.
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed <= MASK for seed in seeds)


def test_derived_seeds_are_the_formula() -> None:
    def reference(seed: int, purpose: str, counter: int) -> int:
        tag = 0x811C9DC5
        for byte in purpose.encode():
            tag = (tag ^ byte) * 0x01000193 & MASK
        return mix32_reference(mix32_reference(counter + seed * 0x9E3779B1 & MASK) ^ tag)

    for key in [(0, "probe", 0), (7, "probe", 3), (MASK, "adapter", MASK), (12345, "sampler", 99)]:
        assert derive_seed(*key) == reference(*key)
    assert derive_seed(7, "probe", 3) == GOLDEN_DERIVED


def test_permutation_is_sorting_by_noise_word() -> None:
    expected = sorted(range(200), key=lambda index: (noise_word_reference(4, index), index))
    assert permutation(4, 200).tolist() == expected
    assert permutation(7, 8).tolist() == GOLDEN_PERMUTATION


def test_nothing_touches_the_global_generator() -> None:
    np.random.seed(1)
    before = np.random.get_state(legacy=False)["state"]["key"].tolist()
    rademacher(1, 100)
    permutation(1, 100)
    derive_seed(1, "probe", 1)
    assert np.random.get_state(legacy=False)["state"]["key"].tolist() == before
