"""The same graphs on an emulated ARM64 processor: what must be the same bit for bit, and how near losses are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from emulator import Emulator
from golden_tokens import TEXTS
from graph_lab import products_saturate

from lab.arm64_machine import UnavailableError
from seedtune.runtime.journal.file import read_journal

# Storage -> how far a loss of any of 50 steps may be from this machine's, in nats. 8-bit products round activations, so
# a last bit of difference can become a whole step of their scale.
TOLERANCE = {"fp32": 1e-4, "fp16": 1e-4, "int8": 2e-2}
# AdamW takes a whole step where a gradient is next to nothing, whichever way rounding has it.
TOLERANCE_ALONG_GRADIENTS = 2e-2


@pytest.fixture(scope="session")
def arm64(golden: Path, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """What ARM64 makes of the golden files."""
    cache = request.config.cache
    assert cache is not None
    try:
        emulator = Emulator(Path(cache.mkdir("arm64")) / "machine")
    except UnavailableError as error:
        pytest.skip(f"no emulated ARM64 processor: {error}")
    out = tmp_path_factory.mktemp("arm64") / "found.json"
    done = emulator.run(Path(__file__).with_name("on_this_processor.py"), [golden, out], timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(out.read_text())


def test_it_is_another_processor_with_the_same_onnxruntime(arm64: dict) -> None:
    assert arm64["machine"] == "aarch64"
    assert arm64["onnxruntime"] == onnxruntime.__version__


def test_noise_has_the_same_bits(arm64: dict) -> None:
    assert arm64["noise"] == []


def test_texts_have_the_same_tokens(arm64: dict, golden: Path) -> None:
    assert arm64["tokens"] == []
    for name in json.loads((golden / "tokenizers.json").read_text()):
        assert len((golden / "tokenizers" / name / "texts.jsonl").read_text("utf-8").splitlines()) == TEXTS


def test_a_replayed_journal_leads_to_the_same_bits(arm64: dict, golden: Path) -> None:
    for name, run in arm64["runs"].items():
        info = json.loads((golden / "runs" / name / "info.json").read_text())
        assert run["state_sha256"] == info["state_sha256"], name
        rows = [json.loads(line) for line in (golden / "runs" / name / "rows.jsonl").read_text().splitlines()]
        assert run["ids"] == [row["ids"] for row in rows], name


def test_losses_of_fifty_steps_are_near(arm64: dict, golden: Path) -> None:
    for name, run in arm64["runs"].items():
        records = read_journal(golden / "runs" / name / "journal.bin").records
        along_gradients = "loss" in (records.dtype.names or ())
        expected = np.stack([records[name] for name in (["loss"] if along_gradients else ["loss_plus", "loss_minus"])])
        found = np.array(run["losses"])
        assert found.shape == expected.shape
        assert expected.shape[1] == 50
        error = float(np.abs(found - expected).max())
        print(f"{name}: losses differ by at most {error:.1e}")
        if run["storage"] == "int8" and products_saturate():
            # Here they are the coarser ones; ARM's are exact.
            continue
        assert error <= (TOLERANCE_ALONG_GRADIENTS if along_gradients else TOLERANCE[run["storage"]]), name
