"""./scripts/collect_phone_report [RUN ...]: one archive of what a phone did, to send with an issue.

Runs are fetched as `seedtune device pull` fetches them, all that the phone has if none is named. Of each the archive
holds the files in KEPT only: figures of steps and evaluations, telemetry, what the app decided, and what Android says
of its process. Rows, texts, predictions, contexts, states and journals stay out: a journal says something of the rows
that it was tuned on. What names a person or a device in the rest is replaced (`redact.py`). Look at it before you send
it: it is a plain tar file of text.

Examples:
    ./scripts/collect_phone_report
    ./scripts/collect_phone_report first threads-4 --out report.tar.gz
"""

from __future__ import annotations

import argparse
import io
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Sequence
from fnmatch import fnmatch
from pathlib import Path

import msgspec

from phone_report.redact import Redaction
from seedtune.runtime.cli.device.doctor import findings
from seedtune.runtime.cli.device.following import describe_phone
from seedtune.runtime.cli.device.options import chosen_app
from seedtune.runtime.device.app.access import Access
from seedtune.runtime.device.files.mirror import Mirror
from seedtune.runtime.device.files.pull import list_runs, pull
from seedtune.runtime.errors import EXIT_CODE, SeedTuneError

KEPT = (
    "app.json", "evaluations.jsonl", "exits.txt", "logcat.txt", "meminfo.txt", "phone.json", "result.json", "run.json",
    "steps.jsonl", "telemetry-*.jsonl",
)  # fmt: skip
DOCTOR = "doctor.json"


def main() -> None:
    """Collects, and says where the archive is and what is in it."""
    parser = argparse.ArgumentParser(
        prog="./scripts/collect_phone_report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="*", metavar="RUN", help="names on the phone; all if none is given")
    parser.add_argument("--out", type=Path, default=Path("phone-report.tar.gz"), help="default %(default)s")
    parser.add_argument("--serial", help="of the phone, where several are connected")
    parser.add_argument("--user", type=int, help="of the profile that the app is installed for")
    options = parser.parse_args()
    try:
        access = chosen_app(options.serial, options.user)
        found = [
            {"name": one.name, "status": str(one.status), "found": one.found, "advice": one.advice}
            for one in findings(options.serial, options.user)
        ]
        collected = collect(access, options.runs, msgspec.json.encode(found), options.out)
    except SeedTuneError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(EXIT_CODE)
    for name, size in collected:
        print(f"{size:12,}  {name}", file=sys.stderr)
    print(options.out)


def collect(access: Access, runs: Sequence[str], doctor: bytes, out: Path) -> list[tuple[str, int]]:
    """Writes the archive ``out``; a file of that name is replaced when the new one is whole.

    Args:
        access: to the app's folder on a phone.
        runs: names of runs; all if there are none.
        doctor: what `seedtune device doctor` found, JSON.
        out: the archive.

    Returns:
        The names in the archive, and the bytes of each.

    Raises:
        SeedTuneError: there is no such run, or none at all, or the phone cannot be reached.
    """
    wanted = list(runs) or list_runs(access)
    if not wanted:
        raise SeedTuneError(
            "the phone has no run",
            rule="one at least, whatever became of it",
            remedy="start one: docs/guides/first-phone-run.md",
        )
    redaction = Redaction([access.phone.serial])
    files: list[tuple[str, bytes]] = [(DOCTOR, doctor)]
    with tempfile.TemporaryDirectory() as folder:
        for run in wanted:
            mirror = Mirror(Path(folder) / run)
            pull(access, run, mirror)
            describe_phone(access, mirror)
            paths = sorted(path for path in mirror.folder.iterdir() if _is_kept(path))
            files += [(f"{run}/{path.name}", path.read_bytes()) for path in paths]
    plain = [(name, redaction.applied(raw)) for name, raw in files]
    _write(out, plain)
    return [(name, len(raw)) for name, raw in plain]


def _is_kept(path: Path) -> bool:
    return path.is_file() and any(fnmatch(path.name, pattern) for pattern in KEPT)


def _write(out: Path, files: Iterable[tuple[str, bytes]]) -> None:
    temporary = out.with_name(f".{out.name}.partial")
    with tarfile.open(temporary, "w:gz") as archive:
        for name, raw in files:
            # Neither times nor owners of this machine.
            entry = tarfile.TarInfo(f"phone-report/{name}")
            entry.size = len(raw)
            archive.addfile(entry, io.BytesIO(raw))
    temporary.replace(out)


if __name__ == "__main__":
    main()
