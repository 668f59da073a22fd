"""The noise in ONNX operators against `seedtune.runtime.noise`: equal bits, never a tolerance."""

import numpy as np
import onnx_ir as ir
import pytest
from graph_lab import make_graph, make_value, op_types, run, session_of

from seedtune.exporter.passes.emitter import Emitter, add_input, set_outputs
from seedtune.exporter.passes.noise import noise_halves, sign_table, signs_of
from seedtune.runtime.noise import noise_words, rademacher

SEEDS = [0, 1, 2, 31, 0x7FFFFFFF, 0x80000000, 0x9E3779B1, 0xFFFFFFFE, 0xFFFFFFFF]


def noise_graph(parameters: int, slices: list[tuple[int, tuple[int, ...]]]) -> ir.Model:
    """seed [1] -> one output of signs per (offset, shape)."""
    model = make_graph([], [], [], [])
    graph = model.graph
    seed = add_input(graph, "seed", ir.DataType.UINT32, [1])
    emit = Emitter(graph)
    noise = emit.op("Squeeze", noise_halves(emit, seed, parameters), emit.integers(0))
    table = sign_table(emit)
    signs = [signs_of(emit, noise, table, offset, shape) for offset, shape in slices]
    emit.append()
    set_outputs(
        graph,
        {
            f"signs_{i}": (value, ir.DataType.FLOAT, list(shape))
            for i, (value, (_, shape)) in enumerate(zip(signs, slices, strict=True))
        },
    )
    return model


def test_sign_table_lists_the_bits_of_every_half_word_lowest_first() -> None:
    model = make_graph([], [], [], [])
    emit = Emitter(model.graph)
    table = sign_table(emit)
    emit.append()
    set_outputs(model.graph, {"table": (table, ir.DataType.INT8, [65536, 16])})
    (found,) = run(model, {})
    expected = np.where(np.arange(65536)[:, None] >> np.arange(16) & 1, 1, -1)
    assert found.dtype == np.int8
    np.testing.assert_array_equal(found, expected)


def test_operators_of_the_noise() -> None:
    mix = ["BitShift", "BitwiseXor", "Mul", "BitShift", "BitwiseXor", "Mul", "BitShift", "BitwiseXor"]
    halves = ["BitwiseAnd", "BitShift", "Unsqueeze", "Unsqueeze", "Concat", "Cast", "Squeeze"]
    words = ["Unsqueeze", "BitwiseXor", *mix, "Mul", "Add", *mix, *halves]
    table = ["Range", "Div", "Mul", "Sub", "Gather", "Gather", "Concat"]
    whole_words = ["Slice", "Gather", "Reshape", "Reshape", "Cast"]
    cut = ["Slice", "Gather", "Reshape", "Slice", "Reshape", "Cast"]
    assert op_types(noise_graph(64, [(0, (8, 8))]).graph) == words + table + whole_words
    assert op_types(noise_graph(64, [(0, (8, 8)), (32, (5, 3))]).graph) == words + table + whole_words + cut


@pytest.mark.parametrize("parameters", [32, 64, 1024, 100_000])
def test_noise_has_the_bits_of_the_reference(parameters: int) -> None:
    model = noise_graph(parameters, [(0, (parameters,))])
    for seed in SEEDS:
        (found,) = run(model, {"seed": np.array([seed], np.uint32)})
        np.testing.assert_array_equal(found, rademacher(seed, parameters))


def test_every_offset_and_length_reads_its_own_part_of_the_noise() -> None:
    parameters = 32 * 40
    slices: list[tuple[int, tuple[int, ...]]] = [
        (offset, shape)
        for offset in (0, 32, 64, 32 * 17, 32 * 36)
        for shape in ((1, 1), (31, 1), (32, 1), (33, 1), (3, 5), (16, 4), (7, 17), (128,))
    ]
    model = noise_graph(parameters, slices)
    for seed in SEEDS:
        whole = rademacher(seed, parameters)
        for found, (offset, shape) in zip(run(model, {"seed": np.array([seed], np.uint32)}), slices, strict=True):
            np.testing.assert_array_equal(found, whole[offset : offset + int(np.prod(shape))].reshape(shape))


def test_many_random_seeds_agree() -> None:
    model = noise_graph(96, [(32, (5, 11))])
    generator = np.random.default_rng(0)
    session = session_of(model)
    for seed in generator.integers(0, 1 << 32, 200):
        (found,) = session.run(None, {"seed": np.array([seed], np.uint32)})
        np.testing.assert_array_equal(found, rademacher(int(seed), 87)[32:].reshape(5, 11))


def test_half_words_come_lowest_first_for_every_seed() -> None:
    model = make_graph([], [], [], [])
    seeds = add_input(model.graph, "seeds", ir.DataType.UINT32, [3])
    emit = Emitter(model.graph)
    noise = noise_halves(emit, seeds, 320)
    emit.append()
    set_outputs(model.graph, {"halves": (noise, ir.DataType.INT32, [3, 10, 2])})
    (found,) = run(model, {"seeds": np.array([12345, 0, 7], np.uint32)})
    for halves, seed in zip(found, (12345, 0, 7), strict=True):
        words = noise_words(seed, 10)
        np.testing.assert_array_equal(halves.astype(np.uint16).reshape(-1), words.astype("<u4").view(np.uint16))


@pytest.mark.parametrize("parameters", [1, 31, 33, 100])
def test_a_length_that_is_no_multiple_of_32_is_refused(parameters: int) -> None:
    seed = make_value("seed", ir.DataType.UINT32, [1])
    model = make_graph([seed], [], [], [])
    with pytest.raises(ValueError, match=str(parameters)):
        noise_halves(Emitter(model.graph), seed, parameters)
