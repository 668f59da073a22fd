"""Reads mutated inputs of everything that SeedTune reads, and counts what is neither refused clearly nor read right.

    python scripts/fuzz                                  1,000 inputs over all targets
    python scripts/fuzz --inputs 100000                  what ./scripts/test --slow does
    python scripts/fuzz --target journal --inputs 5000   one target; may be given several times
    python scripts/fuzz --target journal --seed 17       input 17 again: its files are kept, what came of them told

An input follows from its target's name and its seed. Each must end within 2 s and 200 MB, in an error that names the
file and a remedy, or in what the file says by a reading of its own; anything else is a failure, and ends with code 1.
The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

# Python puts the folder that it is told to run on the path; its modules bear the names seen from the one above.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from fuzz.catalogue import TARGETS, shares  # noqa: E402
from fuzz.watch import Tally, fuzz  # noqa: E402
from lab.report import show  # noqa: E402

SHOWN_FAILURES = 5


def main() -> int:
    """Does what the command line says; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python scripts/fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--target", action="append", choices=list(TARGETS), help="all of them if not given")
    parser.add_argument("--inputs", type=int, default=1_000, help="over all targets [1000]")
    parser.add_argument("--first", type=int, default=0, help="seed of the first input of each target [0]")
    parser.add_argument("--seed", type=int, help="one input again, of one target")
    parser.add_argument("--light", action="store_true", help="leave out the targets that import torch")
    parser.add_argument("--corpus", type=Path, help="a folder to keep the inputs in, for readers in other languages")
    options = parser.parse_args()
    usual = [name for name, entry in TARGETS.items() if entry.share and not (options.light and entry.heavy)]
    names = options.target or usual
    if options.seed is not None:
        if len(names) != 1:
            parser.error("--seed goes with one --target")
        return again(names[0], options.seed)
    tallies = []
    for name, count in shares(names, options.inputs).items():
        print(f"{name}: {count:,} inputs", file=sys.stderr, flush=True)
        tallies.append(fuzz(name, options.first, count, options.corpus))
        tell_failures(tallies[-1])
    return conclude(tallies)


def again(target: str, seed: int) -> int:
    """Reads one input again in this process, where a debugger may stop it; its files stay in a new folder."""
    from fuzz.worker import attempt, instance_of

    folder = Path(tempfile.mkdtemp(prefix=f"seedtune-fuzz-{target}-{seed}-")).resolve()
    made = instance_of(target, folder / "read")
    for path, content in made.mutated_by(seed).items():
        place = folder / "input" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            place.write_bytes(content)
        else:
            place.with_name(f"{place.name}.is-{content.kind}").touch()
    found = attempt(made, seed)
    print(
        f"{found['verdict']} in {found['ms']} ms; the input is in {folder / 'input'}\n{found['text']}", file=sys.stderr
    )
    print(json.dumps(found))
    return 0 if found["verdict"] in ("refused", "accepted") else 1


def tell_failures(tally: Tally) -> None:
    """The first failures of a target, and how to have them again."""
    for found in tally.failures[:SHOWN_FAILURES]:
        print(f"\n{tally.target}, seed {found['seed']}: {found['verdict']}\n{found['text']}", file=sys.stderr)
        print(f"again: python scripts/fuzz --target {tally.target} --seed {found['seed']}", file=sys.stderr, flush=True)


def conclude(tallies: list[Tally]) -> int:
    """The table and the last line."""
    rows = [
        (
            tally.target,
            f"{tally.inputs:,}",
            f"{tally.refused:,}",
            f"{tally.accepted:,}",
            f"{tally.failed:,}",
            f"{tally.slowest_ms:,.0f}",
            f"{tally.peak_bytes / 1e6:,.0f}",
            f"{tally.seconds:,.0f}",
        )
        for tally in tallies
    ]
    show("mutated inputs", ("target", "inputs", "refused", "accepted", "failed", "slowest ms", "peak MB", "s"), rows)
    result = {
        "inputs": sum(tally.inputs for tally in tallies),
        "failed": sum(tally.failed for tally in tallies),
        "targets": {
            tally.target: {
                "inputs": tally.inputs,
                "refused": tally.refused,
                "accepted": tally.accepted,
                "failed": tally.failed,
                "slowest_ms": tally.slowest_ms,
                "peak_bytes": tally.peak_bytes,
                "seconds": round(tally.seconds, 1),
                "failed_seeds": [found["seed"] for found in tally.failures],
            }
            for tally in tallies
        },
    }
    print(json.dumps(result))
    return 1 if result["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
