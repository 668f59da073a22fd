"""Bundles of several families and storages, with rows for them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from stages_lab import GRID, LAYERS, Case

from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.model.splits import load_split


@pytest.fixture(scope="session")
def case_of(tiny_data: SimpleNamespace) -> Callable[[Path], Case]:
    """``case_of(folder)``: that bundle, and eleven tokenised rows of different lengths."""

    def give(folder: Path) -> Case:
        bundle = Bundle.open(folder)
        return Case(bundle, load_split(tiny_data.eval, bundle.compiled_task()).examples[:11])

    return give


@pytest.fixture(scope="session", params=GRID, ids=str)
def case(request: pytest.FixtureRequest, bundle_of: Callable[..., Path], case_of: Callable[[Path], Case]) -> Case:
    """A bundle of the grid and tokenised rows of different lengths."""
    return case_of(bundle_of(*request.param))


@pytest.fixture(scope="session")
def deep_bundle(tiny_checkpoint: Path, tiny_task_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle of a Llama with LAYERS layers, int8."""
    from transformers import LlamaForCausalLM

    from seedtune.exporter.pipeline import export_bundle

    folder = tmp_path_factory.mktemp("deep")
    shutil.copytree(tiny_checkpoint, folder / "checkpoint")
    config = LlamaForCausalLM.from_pretrained(tiny_checkpoint).config
    config.num_hidden_layers = LAYERS
    config.layer_types = None
    LlamaForCausalLM(config).save_pretrained(folder / "checkpoint")
    out = folder / "bundle"
    export_bundle(str(folder / "checkpoint"), str(tiny_task_file), out, storage="int8", scope="suffix", check=False)
    return Bundle.open(out)


@pytest.fixture
def rows_file(tmp_path: Path) -> Callable[[int], Path]:
    """``rows_file(count)``: so many labelled rows of the tiny task."""

    def write(count: int) -> Path:
        path = tmp_path / f"rows-{count}.jsonl"
        lines = [json.dumps({"text": "a lovely film " * (1 + place % 3), "label": "1"}) for place in range(count)]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write
