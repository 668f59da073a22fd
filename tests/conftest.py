"""What the tests of the runtime share: two tiny checkpoints, bundles made of them, and rows they can be tuned on.

Everything is made once a session and read-only by contract; a test that spoils a bundle copies it first.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from filelock import FileLock
from tiny_checkpoints import FILLER, NEGATIVE, POSITIVE, byte_level_tokenizer, save_llama, save_roberta
from tokenizers import Tokenizer
from trace_memo import TraceMemo

if TYPE_CHECKING:
    from seedtune.runtime.bundle.manifest import Storage
    from seedtune.runtime.bundle.objective import ContextStorage
    from seedtune.runtime.task.structure import Family, Scope

pytest_plugins = ["tiers"]
TRACES = TraceMemo()
# How bundles are made that nobody generates with: a second trace for the decode graph takes as long as the first.
QUICKLY: dict[str, Any] = {"targets": "all", "rank": 4, "check": False, "decode": False}
TASK = """\
name = "tiny-sentiment"
kind = "classification"
template = "Review: {text}\\nSentiment:"
truncate = "text"
max_tokens = 48
label_field = "label"

[[labels]]
value = "0"
name = "negative"
word = " negative"

[[labels]]
value = "1"
name = "positive"
word = " positive"

[masked]
template = "Review: {text}\\nSentiment:{mask}."
"""


@pytest.fixture(scope="module", autouse=True)
def traces_made_once() -> None:
    """The tests of a process want the same few traces again and again."""
    if "torch" in sys.modules:
        TRACES.install()


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], object]], Path]:
    """``made_once(name, make)``: a folder that ``make`` makes, once for all processes of these tests."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent / "shared" if "PYTEST_XDIST_WORKER" in os.environ else base / "shared"
    shared.mkdir(exist_ok=True)

    def give(name: str, make: Callable[[Path], object]) -> Path:
        folder = shared / name
        with FileLock(shared / f"{name}.lock"):
            if not folder.exists():
                # What failed half way is made again by whoever comes next.
                partial = shared / f"{name}.partial"
                shutil.rmtree(partial, ignore_errors=True)
                make(partial)
                partial.rename(folder)
        return folder

    return give


@pytest.fixture(scope="session")
def tiny_tokenizer() -> Tokenizer:
    """The tokenizer of ``tiny_checkpoint``, with ``<s>`` before each text."""
    return byte_level_tokenizer()


@pytest.fixture(scope="session")
def tiny_checkpoint(tracing: None, made_once: Callable[..., Path]) -> Path:
    """A Llama of two layers with random weights and the tokenizer beside it."""
    return made_once("tiny", lambda made: save_llama(made / "checkpoint")) / "checkpoint"


@pytest.fixture(scope="session")
def tiny_masked_checkpoint(tracing: None, made_once: Callable[..., Path]) -> Path:
    """A RoBERTa of two layers with random weights; its tokenizer also has ``</s>`` behind a text, and ``<mask>``."""
    return made_once("tiny-masked", lambda made: save_roberta(made / "checkpoint")) / "checkpoint"


@pytest.fixture(scope="session")
def tiny_task_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The task file that every bundle here was exported for."""
    path = tmp_path_factory.mktemp("task") / "tiny.toml"
    path.write_text(TASK, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def bundle_of(
    tracing: None, request: pytest.FixtureRequest, tiny_task_file: Path, made_once: Callable[..., Path]
) -> Callable[..., Path]:
    """``bundle_of(family, scope, context_storage, storage, layers, on_host)``: a tiny bundle, exported once.

    With ``finely_cut`` it has a stage for every matrix, as only large models have otherwise.
    """

    def give(
        family: Family,
        scope: Scope,
        context_storage: ContextStorage = "fp32",
        storage: Storage = "fp32",
        layers: int | None = None,
        on_host: bool = False,
        finely_cut: bool = False,
    ) -> Path:
        from seedtune.exporter.pipeline import export_bundle

        source = request.getfixturevalue("tiny_checkpoint" if family == "causal" else "tiny_masked_checkpoint")
        more: dict[str, Any] = {
            "scope": scope,
            "layers": layers,
            "context_storage": context_storage,
            "storage": storage,
        }
        name = "-".join(map(str, (family, scope, context_storage, storage, layers, on_host, finely_cut)))
        more |= {"context_on_host": on_host, **QUICKLY}

        def export(made: Path) -> None:
            made.mkdir()
            with pytest.MonkeyPatch.context() as patch:
                if finely_cut:
                    patch.setattr("seedtune.exporter.stages.assign.GROUP_BYTES", 1)
                export_bundle(str(source), str(tiny_task_file), made / "bundle", **more)

        return made_once(name, export) / "bundle"

    return give


@pytest.fixture(scope="session")
def tiny_bundle(bundle_of: Callable[..., Path]) -> Path:
    """The bundle of ``tiny_checkpoint`` with scope "all"."""
    return bundle_of("causal", "all")


@pytest.fixture(scope="session")
def suffix_bundle(bundle_of: Callable[..., Path]) -> Path:
    """The bundle of ``tiny_checkpoint`` with scope "suffix" and contexts stored as they are by default."""
    return bundle_of("causal", "suffix", "fp16")


def synthetic_rows(count: int, seed: int) -> list[dict[str, str]]:
    """Balanced rows whose label follows from any one of their words."""
    generator = random.Random(seed)
    rows = []
    for index in range(count):
        label = index % 2
        words = generator.choices((NEGATIVE, POSITIVE)[label], k=generator.randint(1, 3))
        rows.append({"text": f"a {' '.join(words)} {generator.choice(FILLER)}", "label": str(label)})
    return rows


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """``train`` (64 rows) and ``eval`` (24 rows): JSONL files that ``tiny_bundle`` can be tuned on."""
    folder = tmp_path_factory.mktemp("data")
    files = {}
    for name, count in (("train", 64), ("eval", 24)):
        files[name] = folder / f"{name}.jsonl"
        lines = (json.dumps(row) + "\n" for row in synthetic_rows(count, seed=len(name)))
        files[name].write_text("".join(lines), encoding="utf-8")
    return SimpleNamespace(folder=folder, **files)


@pytest.fixture(scope="session")
def entry_point() -> list[str]:
    """The start of a command line that runs ``seedtune`` with this interpreter."""
    return [sys.executable, "-c", "from seedtune.runtime.cli.main import run; run()"]


@pytest.fixture(scope="session")
def seedtune(entry_point: list[str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs ``seedtune`` in a process of its own and returns what it did."""

    def call(*arguments: object, timeout: float = 120, **options: Any) -> subprocess.CompletedProcess[str]:
        command = [*entry_point, *map(str, arguments)]
        options |= {"env": os.environ | {"NO_COLOR": "1", "COLUMNS": "120", "TERM": "dumb"}, "timeout": timeout}
        return subprocess.run(command, capture_output=True, text=True, check=False, **options)

    return call
