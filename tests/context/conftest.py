"""Made-up cache files, the suffix bundles opened, and rows for them."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from context_lab import LAYOUTS, encoded_rows, header_for, key_of, made_up_block, without_context

from seedtune.runtime.bundle.objective import ContextLayout
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.context.cache_file import CacheFile
from seedtune.runtime.task.example import Example

TOKENS = (3, 1, 5)


@pytest.fixture(params=list(LAYOUTS))
def layout(request: pytest.FixtureRequest) -> ContextLayout:
    """A small layout of each storage."""
    return LAYOUTS[request.param]


@pytest.fixture
def cache_path(tmp_path: Path) -> Path:
    """Where a test's cache file goes."""
    return tmp_path / "cache" / "train.contexts"


@pytest.fixture
def filled(cache_path: Path) -> Callable[..., Path]:
    """``filled(layout, tokens)``: a cache file with one entry of each number of tokens; entry k has key k."""

    def give(layout: ContextLayout = LAYOUTS["fp16"], tokens: tuple[int, ...] = TOKENS) -> Path:
        with CacheFile(cache_path, header_for(layout)) as cache:
            for number, count in enumerate(tokens):
                cache.append(key_of(number), made_up_block(layout, count, number))
        return cache_path

    return give


@pytest.fixture(scope="session")
def causal(suffix_bundle: Path) -> Bundle:
    """The causal suffix bundle, fp16."""
    return Bundle.open(suffix_bundle)


@pytest.fixture(scope="session")
def texts() -> list[str]:
    """Forty texts of 0 to 12 words; the first is empty, and no two are equal."""
    generator = random.Random(7)
    made = [""]
    while len(made) < 40:
        words = generator.choices(["a", "lovely", "dull", "film", "song", "book", "x"], k=generator.randint(1, 12))
        text = " ".join(words)
        if text not in made:
            made.append(text)
    return made


@pytest.fixture(scope="session")
def rows(causal: Bundle, texts: list[str]) -> list[Example]:
    """``texts`` as rows of ``causal``; the first one is all suffix, the others have a context."""
    first, *others = encoded_rows(causal, texts)
    return [without_context(first), *others]
