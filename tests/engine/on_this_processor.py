"""What a processor makes of the golden files: `python on_this_processor.py GOLDEN OUT`; `test_arm64.py` runs it."""

from __future__ import annotations

import json
import platform
import sys
import tempfile
from pathlib import Path

import onnxruntime
from tokenizers import Tokenizer

from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.graphs.session import open_session
from seedtune.runtime.graphs.state import State
from seedtune.runtime.journal.file import read_journal
from seedtune.runtime.model.splits import load_split
from seedtune.runtime.noise import derive_seed, noise_words, permutation, rademacher
from seedtune.runtime.run.folder import RunFolder
from seedtune.runtime.run.start import start_or_resume
from seedtune.runtime.telemetry.progress import RunProgress


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
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        tokenizer.encode_special_tokens = True
        for line in (folder / "texts.jsonl").read_text("utf-8").splitlines():
            record = json.loads(line)
            if tokenizer.encode(record["text"]).ids != record["ids"]:
                found.append(f"{name}: {record['text']!r}")
    return found


def run_again(golden: Path, name: str, scratch: Path) -> dict[str, object]:
    """The state that the recorded journal leads to, and losses of the same run made anew."""
    folder = golden / "runs" / name
    info = json.loads((folder / "info.json").read_text())
    bundle = Bundle.open(Path(info["bundle"]))
    journal = read_journal(folder / "journal.bin")
    state = State(open_session(bundle.graph_path("update"), 1), bundle.manifest.state.parameters)
    state.apply(journal.seeds(), journal.records["coefficient"])
    split = load_split(Path(info["train"]), bundle.compiled_task())
    ids = [example.ids.tolist() for example in split.examples]
    settings = journal.header.settings
    with RunFolder(scratch / name, resume=False) as out, RunProgress(settings["steps"]) as progress:
        start_or_resume(bundle.path, out, Path(info["train"]), None, settings, 1).execute(progress)
    made = read_journal(scratch / name / "journal.bin").records
    return {
        "state_sha256": state.sha256(),
        "ids": ids,
        "losses": [made["loss_plus"].tolist(), made["loss_minus"].tolist()],
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
