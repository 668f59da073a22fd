"""What the benchmarks share: the machine's line, a table, one last JSON line, and a bundle to measure."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import demo_data
import numpy as np
import onnxruntime
from rich.console import Console
from rich.table import Table

from seedtune.exporter.pipeline import PrefixStorage, export_bundle
from seedtune.runtime.bundle.manifest import MANIFEST
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.data.batches import Example
from seedtune.runtime.run.prepare import load_split
from seedtune.runtime.task.structure import Scope

SOURCE = "smollm2-135m-instruct"
OUTPUT = Path("bench-output")


def machine() -> dict[str, str | int]:
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
        "onnxruntime": onnxruntime.__version__,
        "commit": commit.stdout.strip() or "unknown",
        "date": time.strftime("%Y-%m-%d"),
    }


def bundle(
    rank: int = 8, targets: str = "default", scope: Scope = "all", prefix_storage: PrefixStorage = "fp16"
) -> Bundle:
    """A bundle of SmolLM2 for the sentiment task, exported once into bench-output/."""
    name = f"bundle-{targets.replace(',', '-').replace('*', 'x')}-{rank}-{scope}"
    path = OUTPUT / (name if scope == "all" else f"{name}-{prefix_storage}")
    if not (path / MANIFEST).is_file():
        export_bundle(
            SOURCE,
            "sentiment",
            path,
            targets=targets,
            rank=rank,
            scope=scope,
            prefix_storage=prefix_storage,
            check=False,
        )
    return Bundle.open(path)


def reviews(opened: Bundle, split: str = "train") -> list[Example]:
    """The demo's rows, tokenised for the bundle."""
    return load_split(demo_data.main(OUTPUT / "data")[split], opened.compiled_task()).examples


def random_rows(opened: Bundle, batch: int, tokens: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Full rows (no padding) of random ids, as graph inputs."""
    generator = np.random.default_rng(seed)
    vocabulary = opened.manifest.model.vocabulary_size
    return {
        "ids": generator.integers(0, vocabulary, (batch, tokens)),
        "mask": np.ones((batch, tokens), np.int64),
        "position": np.full(batch, tokens - 1),
        "label": generator.integers(0, len(opened.manifest.label_word_ids), batch),
    }


def report(title: str, rows: Sequence[tuple[str, str, str]], result: Mapping[str, Any]) -> None:
    """Prints ``rows`` (what, measured, bar) as a table, then ``result`` with the machine as the last line."""
    console = Console(stderr=True)
    about = machine()
    table = Table(title=title, caption=", ".join(f"{key} {value}" for key, value in about.items()))
    for heading in ("", "measured", "bar"):
        table.add_column(heading)
    for row in rows:
        table.add_row(*row)
    console.print(table)
    print(json.dumps({**result, "machine": about}))
