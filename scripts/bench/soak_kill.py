"""python scripts/bench soak_kill [--kills N] [--seed S]: runs that are killed at random instants, and go on.

A tiny model is tuned by ``seedtune run ... --resume``, the same command at each start, as a supervisor says it.
SIGKILL comes at a random instant of a random part: opening, caching, solving for the start, measuring the batch size,
stepping, evaluating, writing results. A run is killed one to four times and then ends; its journal, its predictions and
the fingerprint of its state must be those of a run that nobody killed, and no step that was on the disk may be gone.
Half of the kills meet a run by probes (scope suffix), half one by gradients (scope last, in one layer of two).
"""

from __future__ import annotations

import json
import multiprocessing
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

import seedtune
from lab.report import command_line, report
from lab.soak.phases import NAMES
from lab.soak.soak import Soak

WHAT = "runs that are killed at random instants, and go on"
BAR = {
    "runs that go on": "all",
    "ends equal to the whole run's": "all, to the byte",
    "steps lost beyond the one in flight": "0",
}
STEPS, EVAL_EVERY, TRAIN_ROWS, HELD_OUT_ROWS = 24, 12, 24, 8
# Kind of run -> options of its export.
KINDS: dict[str, dict[str, Any]] = {"probes": {"scope": "suffix"}, "gradients": {"scope": "last", "layers": 1}}


def main() -> None:
    """Kills and reports."""
    parser = command_line(__file__, __doc__, BAR)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--probes", type=Path, help="a bundle of scope suffix for a task of texts; exported if left out"
    )
    parser.add_argument("--gradients", type=Path, help="one of scope last; exported if left out")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        soaks, folder = {}, Path(name)
        for place, kind in enumerate(KINDS):
            bundle = getattr(arguments, kind) or exported(folder / kind, kind)
            soaks[kind] = Soak(command(bundle, rows(folder)), folder / f"{kind}-runs", arguments.seed + place)
            soaks[kind].kill(arguments.kills // len(KINDS) + (place < arguments.kills % len(KINDS)))
    show(soaks)
    if any(soak.stuck or soak.different or soak.lost for soak in soaks.values()):
        sys.exit("a kill changed what a run came to")


def exported(out: Path, kind: str) -> Path:
    """The bundle of a tiny Llama for ``kind``, by a process of its own: torch's threads would not survive a fork."""
    process = multiprocessing.get_context("spawn").Process(target=_export, args=(out, kind))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"the export of the tiny model failed with exit code {process.exitcode}")
    return out


def _export(out: Path, kind: str) -> None:
    from families.architectures import Architecture
    from families.checkpoints import save
    from families.tiny import tiny_config

    architecture = Architecture("causal", "llama", "LlamaForCausalLM")
    source = save(architecture, tiny_config(architecture, 60), out.with_name(f"{out.name}-checkpoint"))
    seedtune.export(source, task=source / "task.toml", out=out, rank=4, check=False, decode=False, **KINDS[kind])


def rows(folder: Path) -> tuple[Path, Path]:
    """Training and held-out rows in ``folder``, one word after another."""
    words = (("awful", "boring", "dull", "bad"), ("lovely", "great", "bright", "good"))
    files = folder / "train.jsonl", folder / "held-out.jsonl"
    for path, count in zip(files, (TRAIN_ROWS, HELD_OUT_ROWS), strict=True):
        draw = random.Random(count)
        texts = [" ".join(draw.choices(words[place % 2], k=draw.randint(1, 20))) for place in range(count)]
        lines = (json.dumps({"text": text, "label": str(place % 2)}) for place, text in enumerate(texts))
        path.write_text("\n".join(lines) + "\n")
    return files


def command(bundle: Path, files: tuple[Path, Path]) -> list[object]:
    """``run`` and its options, without its folder."""
    train, held_out = files
    given = ["--train", train, "--eval", held_out, "--steps", STEPS, "--eval-every", EVAL_EVERY, "--threads", 1]
    return ["run", bundle, *given]


def show(soaks: dict[str, Soak]) -> None:
    """The table by part, and the last line."""
    figures = {kind: soak.figures() for kind, soak in soaks.items()}
    rows_by_part = []
    for part, name in enumerate(NAMES):
        counts = [soak.counts[part] for soak in soaks.values()]
        before = sum(each.before_run_json for each in counts)
        rows_by_part.append([name, *(str(each.kills) for each in counts), str(before)])
    kills, runs, stuck, changed, lost = (
        sum(getattr(soak, name) for soak in soaks.values())
        for name in ("kills", "runs", "runs_stuck", "runs_changed", "lost")
    )
    for soak in soaks.values():
        for text in soak.stuck + soak.different:
            print(text)
    summary = [
        ("runs that go on", f"{runs - stuck} of {runs}, killed {kills} times", BAR["runs that go on"]),
        (
            "ends equal to the whole run's",
            f"{runs - stuck - changed} of {runs}",
            BAR["ends equal to the whole run's"],
        ),
        ("steps lost beyond the one in flight", str(lost), BAR["steps lost beyond the one in flight"]),
    ]
    report(
        "Runs that are killed at random instants",
        rows_by_part,
        {"kills": kills, "runs": runs, "stuck": stuck, "changed": changed, "lost_steps": lost, "kinds": figures},
        ("killed while", *soaks, "before run.json was there"),
        summary,
    )


if __name__ == "__main__":
    main()
