"""python scripts/bench [NAME [ITS OPTIONS]]: lists the benches, or runs one and keeps its figures.

Without a NAME: every bench with what it measures and what must hold. With one: runs it in a process of its own and
appends its last line, with date, commit, machine, versions and arguments, to docs/measurements/NAME.jsonl.

Examples:
    python scripts/bench
    python scripts/bench replay --help
    python scripts/bench export smollm2-135m-instruct --storage int8
    python scripts/bench memory BUNDLE --cap 512M --no-record -- --memory-limit={cap}
    python scripts/bench --page
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

# Python puts the folder that it is told to run on the path, where bench/profile.py would hide the library's profile.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from rich.table import Table  # noqa: E402

from lab import records, results_page  # noqa: E402
from lab.bench_process import run_bench  # noqa: E402
from lab.catalogue import benches, named  # noqa: E402
from lab.machine import ROOT, commit, machine, versions  # noqa: E402
from lab.report import wide_console  # noqa: E402
from seedtune.runtime.errors import EXIT_CODE, SeedTuneError  # noqa: E402
from seedtune.runtime.files import write_durably  # noqa: E402

NO_RECORD = "--no-record"
# As of a shell, for a process that SIGINT or SIGPIPE ended.
EXIT_INTERRUPTED, EXIT_UNREAD = 130, 141
# What other programs keep there: `scripts/families`.
NO_BENCHES = ("families",)


def main() -> int:
    """Does what the command line says; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python scripts/bench",
        usage="%(prog)s [--page | [--no-record] NAME [ITS OPTIONS]]",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="the bench to run")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="ITS OPTIONS", help="see NAME --help")
    parser.add_argument(NO_RECORD, action="store_true", help="do not keep the figures; may stand behind NAME, too")
    parser.add_argument("--page", action="store_true", help="make docs/benchmarks.md's tables from the kept figures")
    parser.add_argument("--root", type=Path, default=ROOT, metavar="FOLDER", help="another project of this layout")
    options = parser.parse_args()
    if options.page and options.name:
        parser.error("--page goes without a NAME")
    try:
        if options.page:
            return write_page(options.root)
        if options.name is None:
            return show_list(options.root)
        return measure(options.root, options.name, options.arguments, record=not options.no_record)
    except SeedTuneError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_CODE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read has gone; Python would complain again when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_UNREAD


def show_list(root: Path) -> int:
    """Prints every bench."""
    table = Table()
    for heading in ("bench", "what it measures", "bar"):
        table.add_column(heading)
    for bench in benches(root / "scripts" / "bench"):
        bars = "\n".join(f"{figure}: {bar}" for figure, bar in bench.bars.items())
        table.add_row(bench.name, bench.what, bars or "none")
    wide_console(stderr=False).print(table)
    return 0


def measure(root: Path, name: str, arguments: list[str], *, record: bool) -> int:
    """Runs a bench and keeps its figures, if it comes to any."""
    named(name, root / "scripts" / "bench")
    file = measurements_in(root) / f"{name}.jsonl"
    place = arguments.index("--") if "--" in arguments else len(arguments)
    if NO_RECORD in arguments[:place]:
        arguments.remove(NO_RECORD)
        record = False
    # Before the measurement, so that a damaged file is found before it costs one.
    records.read(file)
    began = records.Record(
        bench=name,
        arguments=records.without_folders(arguments),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=commit(root),
        machine=machine(),
        versions=versions(),
        result={},
    )
    code, result = run_bench(name, arguments, root / "scripts")
    if result is not None and record:
        records.append(file, replace(began, result=records.without_folders(result)))
        print(f"appended to {file}", file=sys.stderr)
    return code


def write_page(root: Path) -> int:
    """Makes the page's part anew."""
    page = root / "docs" / "benchmarks.md"
    files = [file for file in sorted(measurements_in(root).glob("*.jsonl")) if file.stem not in NO_BENCHES]
    found = {file.stem: records.read(file) for file in files}
    part = results_page.part_of(benches(root / "scripts" / "bench"), found)
    text = page.read_text("utf-8") if page.exists() else results_page.NEW_PAGE
    write_durably(page, results_page.filled(text, part, page).encode())
    print(f"wrote {page}", file=sys.stderr)
    return 0


def measurements_in(root: Path) -> Path:
    """The folder of kept figures, one file a bench."""
    return root / "docs" / "measurements"


if __name__ == "__main__":
    sys.exit(main())
