"""What every measurement prints: tables, the machine's line, one last JSON line. It imports no torch."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

FILE_WIDTH = 140
HEADINGS = ("", "measured", "bar")


def machine() -> dict[str, str | int | float]:
    """Processor, cores, versions and commit: what a figure is worth nothing without."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "processor": model,
        "cores": os.cpu_count() or 1,
        "load_average": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "onnxruntime": metadata.version("onnxruntime"),
        "commit": commit.stdout.strip() or "unknown",
        "date": time.strftime("%Y-%m-%d"),
    }


def show(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "") -> None:
    """Prints a table on standard error."""
    table = Table(title=title, caption=caption)
    for heading in headings:
        table.add_column(heading)
    for row in rows:
        table.add_row(*row)
    console = Console(stderr=True)
    # A table of many columns is unreadable at the 80 characters that rich takes a file to have.
    console.print(table, width=None if console.is_terminal else FILE_WIDTH)


def report(
    title: str, rows: Sequence[Sequence[str]], result: Mapping[str, Any], headings: Sequence[str] = HEADINGS
) -> None:
    """Prints ``rows`` as a table, then ``result`` with the machine as the last line of standard output."""
    about = machine()
    show(title, headings, rows, ", ".join(f"{key} {value}" for key, value in about.items()))
    print(json.dumps({**result, "machine": about}))


def megabytes(count: float | None) -> str:
    """Bytes as MB (10^6), or a dash where they are not known."""
    return "-" if count is None else f"{count / 1e6:,.0f} MB"
