"""What a processor makes of the golden files: `python on_this_processor.py GOLDEN OUT`; `test_arm64.py` runs it."""

from __future__ import annotations

import json
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

import onnxruntime
from tokenizers import Tokenizer

import seedtune
from seedtune.runtime.journal.file import read_journal
from seedtune.runtime.model.splits import load_split
from seedtune.runtime.noise import derive_seed, noise_words, permutation, rademacher
from seedtune.runtime.task.plain_text import plain_text

# Of a record along noise, or along a gradient.
LOSSES = ("loss_plus", "loss_minus", "loss")


def noise_differences(golden: Path) -> list[str]:
    """Where noise differs from noise.json."""
    found = []
    for case in json.loads((golden / "noise.json").read_text()):
        seed = case["seed"]
        made = {
            "words": noise_words(seed, 100).tolist(),
            "signs": rademacher(seed, 100).astype(int).tolist(),
            "permutation": permutation(seed, 1000).tolist(),
        }
        found += [f"{name} of seed {seed}" for name, values in made.items() if values != case[name]]
        for one in case["derived"]:
            if derive_seed(seed, one["purpose"], one["counter"]) != one["seed"]:
                found.append(f"a derived seed of {seed}")
    return found


def token_differences(golden: Path) -> list[str]:
    """Texts whose tokens differ."""
    found = []
    for name in json.loads((golden / "tokenizers.json").read_text()):
        folder = golden / "tokenizers" / name
        tokenizer = plain_text(Tokenizer.from_file(str(folder / "tokenizer.json"))).tokenizer
        for line in (folder / "texts.jsonl").read_text("utf-8").splitlines():
            record = json.loads(line)
            if tokenizer.encode(record["text"]).ids != record["ids"]:
                found.append(f"{name}: {record['text']!r}")
    return found


def run_again(golden: Path, name: str, scratch: Path) -> dict[str, object]:
    """The state that the recorded journal leads to, and losses of the same run made anew."""
    folder = golden / "runs" / name
    info = json.loads((folder / "info.json").read_text())
    journal = read_journal(folder / "journal.bin")
    with seedtune.open(folder, step=journal.steps) as recorded:
        state_sha256 = recorded.state.sha256()
    with seedtune.open(info["bundle"], threads=1) as model:
        split = load_split(Path(info["train"]), model.bundle.compiled_task())
        settings: dict[str, Any] = journal.header.settings
        for _event in model.tune(info["train"], out=scratch / name, **settings):
            pass
    made = read_journal(scratch / name / "journal.bin").records
    return {
        "state_sha256": state_sha256,
        "ids": [example.ids.tolist() for example in split.examples],
        "storage": model.bundle.manifest.storage,
        "losses": [made[name].tolist() for name in LOSSES if name in (made.dtype.names or ())],
    }


def main(golden: Path, out: Path) -> None:
    """Writes everything to ``out`` as JSON."""
    with tempfile.TemporaryDirectory() as scratch:
        names = json.loads((golden / "runs.json").read_text())
        found = {
            "machine": platform.machine(),
            "onnxruntime": onnxruntime.__version__,
            "noise": noise_differences(golden),
            "tokens": token_differences(golden),
            "runs": {name: run_again(golden, name, Path(scratch)) for name in names},
        }
    out.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
