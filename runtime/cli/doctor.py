"""``seedtune doctor``: what this machine has, what is missing, and what to do about it."""

from __future__ import annotations

import enum
import os
import platform
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from seedtune.runtime.cli.options import JsonOption, print_json
from seedtune.runtime.errors import EXIT_CODE
from seedtune.runtime.graphs.session import default_threads

# The extras that a user meets; what they need is told by the package's own metadata.
EXTRAS = ("export", "report", "device", "parquet")
REQUIREMENT = re.compile(r"([\w.-]+).*;.*extra\s*==\s*['\"]([\w-]+)['\"]")
ENOUGH_DISK_BYTES = 2_000_000_000
ENOUGH_MEMORY_BYTES = 1_000_000_000


class Status(enum.StrEnum):
    """How a finding stands."""

    OK = "ok"
    NOTE = "note"
    MISSING = "missing"


@dataclass(frozen=True)
class Finding:
    """One line of the table."""

    name: str
    status: Status
    found: str
    advice: str = ""


def findings_table(found: list[Finding]) -> Table:
    """``found`` for a terminal."""
    table = Table(box=None, pad_edge=False)
    for heading in ("", "", "found", "what to do"):
        table.add_column(heading, overflow="fold")
    colours = {Status.OK: "green", Status.NOTE: "yellow", Status.MISSING: "red"}
    for finding in found:
        table.add_row(
            f"[{colours[finding.status]}]{finding.status}[/]",
            finding.name,
            escape(finding.found),
            escape(finding.advice),
        )
    return table


def findings() -> list[Finding]:
    """Everything that the doctor looks at, in order."""
    checks: tuple[Callable[[], Finding], ...] = (_python, _processors, _memory, _disk, _onnxruntime)
    return [check() for check in checks] + [_extra(name) for name in EXTRAS] + [_embedded_model()]


def _python() -> Finding:
    good = sys.version_info >= (3, 11)
    return Finding(
        "Python",
        Status.OK if good else Status.MISSING,
        f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "" if good else "install Python 3.11 or newer",
    )


def _processors() -> Finding:
    return Finding("processors", Status.OK, f"{default_threads()} usable of {os.cpu_count()}")


def _memory() -> Finding:
    try:
        pages, size = os.sysconf("SC_AVPHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return Finding("memory", Status.NOTE, "unknown")
    free = pages * size
    good = free > ENOUGH_MEMORY_BYTES
    advice = "" if good else "tuning itself needs little; exporting needs about 2 GB"
    return Finding("memory", Status.OK if good else Status.NOTE, f"{free / 1e9:.1f} GB free", advice)


def _disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free
    good = free > ENOUGH_DISK_BYTES
    return Finding(
        "disk, here",
        Status.OK if good else Status.NOTE,
        f"{free / 1e9:.1f} GB free",
        "" if good else "a bundle takes 4 bytes a parameter, 2 with --storage fp16",
    )


def _onnxruntime() -> Finding:
    version = metadata.version("onnxruntime")
    good = version.startswith("1.26.")
    return Finding(
        "ONNX Runtime",
        Status.OK if good else Status.MISSING,
        version,
        "" if good else 'pip install "onnxruntime>=1.26,<1.27"',
    )


def packages_of(extra: str) -> list[str]:
    """The distributions that ``extra`` asks for, as the installed package says."""
    found = (REQUIREMENT.match(requirement) for requirement in metadata.requires("seedtune") or ())
    return [match[1] for match in found if match and match[2] == extra]


def _extra(name: str) -> Finding:
    versions: list[str] = []
    absent: list[str] = []
    for package in packages_of(name):
        try:
            versions.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            absent.append(package)
    if absent:
        return Finding(f"extra {name}", Status.NOTE, f"lacks {', '.join(absent)}", f'pip install "seedtune[{name}]"')
    return Finding(f"extra {name}", Status.OK, ", ".join(versions[:2]))


def _embedded_model() -> Finding:
    from platformdirs import user_cache_path

    folder = Path(os.environ.get("SEEDTUNE_CACHE") or user_cache_path("seedtune"))
    files = sorted(folder.rglob("*.gguf")) if folder.is_dir() else []
    if not files:
        return Finding("embedded model", Status.NOTE, "not downloaded", "the first export fetches it (93 MB)")
    size = sum(file.stat().st_size for file in files)
    return Finding("embedded model", Status.OK, f"{size / 1e6:.0f} MB in {folder}")


def doctor(json: JsonOption = False) -> None:
    """Say what this machine has, what is missing, and what to do.

    Examples:

        seedtune doctor

        seedtune doctor --json
    """
    found = findings()
    Console(stderr=json).print(findings_table(found))
    broken = any(finding.status is Status.MISSING for finding in found)
    if json:
        print_json(
            {
                "ok": not broken,
                "findings": [{"name": f.name, "status": f.status, "found": f.found, "advice": f.advice} for f in found],
            }
        )
    if broken:
        raise typer.Exit(EXIT_CODE)
