"""python scripts/families [KEY ...]: tries the architectures of the installed transformers and keeps what comes of it.

Outcomes are lines of a file; what stands there is not tried again, so a sweep can be stopped at any time and run in
pieces (--shard). Exit code 1 if anything crashed or was wrong.

Examples:
    python scripts/families --processes 2
    python scripts/families causal:llama masked:bert --again
    python scripts/families --shard 1/4
    python scripts/families --write
"""

from __future__ import annotations

import argparse
import os
import sys
from importlib import metadata
from pathlib import Path

# Python puts the folder that it is told to run on the path; its modules bear the names seen from the one above.
sys.path[0] = str(Path(__file__).resolve().parents[1])
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from families.architectures import Architecture, architectures  # noqa: E402
from families.outcomes import Outcome, append, defects, read  # noqa: E402
from families.page import page  # noqa: E402
from families.sweep import sweep  # noqa: E402
from families.texts import MAX_TOKENS  # noqa: E402
from lab.machine import ROOT  # noqa: E402
from seedtune.runtime.files import write_durably  # noqa: E402

LIBRARIES = ("transformers", "torch", "onnxruntime")
PAGE = ROOT / "docs" / "reference" / "families.md"


def main() -> int:
    """Does what the command line says; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python scripts/families", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("keys", nargs="*", metavar="KEY", help="such as causal:llama; all if none is given")
    parser.add_argument(
        "--outcomes", type=Path, default=ROOT / "docs" / "measurements" / "families.jsonl", metavar="FILE"
    )
    parser.add_argument("--scopes", default="suffix,all", help="separated by commas")
    parser.add_argument("--storages", default="fp32,int8", help="separated by commas")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--shard", default="1/1", metavar="I/N", help="only every N-th, from the I-th on")
    parser.add_argument("--again", action="store_true", help="also what stands in the file already")
    parser.add_argument("--write", action="store_true", help=f"only make {PAGE.relative_to(ROOT)} from the file")
    options = parser.parse_args()
    every = architectures()
    if options.write:
        return write(options.outcomes, every)
    known = {one.key: one for one in every}
    unknown = set(options.keys) - known.keys()
    if unknown:
        parser.error(f"no such architecture: {', '.join(sorted(unknown))}")
    chosen = [known[key] for key in options.keys or known]
    first, count = map(int, options.shard.split("/"))
    scopes, storages = options.scopes.split(","), options.storages.split(",")
    done = {} if options.again else {key: one.scopes for key, one in read(options.outcomes).items()}
    left = [one for one in chosen[first - 1 :: count] if not set(scopes) <= set(done.get(one.key, ()))]
    for number, outcome in enumerate(sweep(left, scopes, storages, options.processes), 1):
        append(options.outcomes, outcome)
        figures = " ".join(f"{trial}={value:.1e}" for trial, value in outcome.differences.items())
        figures += "".join(f" gradient={value:.1e}" for value in outcome.gradients.values())
        reason = outcome.reason.splitlines()[-1] if outcome.reason else ""
        print(f"{number}/{len(left)} {outcome.key}: {outcome.verdict} {figures} {reason}", flush=True)
    found = read(options.outcomes)
    bad = defects(found[one.key] for one in chosen if one.key in found)
    for outcome in bad:
        print(f"\n{outcome.key}: {outcome.verdict}\n{outcome.reason}", file=sys.stderr)
    return 1 if bad else 0


def write(file: Path, every: list[Architecture]) -> int:
    """Makes the page; what is not in the file stands there as not tried."""
    found = read(file)
    outcomes = [found.get(one.key, Outcome(one.key, one.name, "not tried")) for one in every]
    versions = {library: metadata.version(library) for library in LIBRARIES}
    write_durably(PAGE, page(outcomes, versions, MAX_TOKENS).encode())
    print(f"wrote {PAGE}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
