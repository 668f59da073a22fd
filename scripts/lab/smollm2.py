"""SmolLM2-135M for benches: bundles of it, exported once, and the demo's reviews as rows for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import seedtune
from review_demo.reviews import write_splits
from seedtune.runtime.bundle.manifest import MANIFEST, Storage
from seedtune.runtime.bundle.objective import ContextStorage
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.model.splits import load_split
from seedtune.runtime.task.example import Example
from seedtune.runtime.task.structure import Scope

SOURCE = "smollm2-135m-instruct"
OUTPUT = Path("bench-output")


def exported(
    rank: int = 8,
    targets: str = "default",
    scope: Scope = "all",
    context_storage: ContextStorage = "fp16",
    storage: Storage = "fp32",
    layers: int | None = None,
    context_on_host: bool = False,
    decode: bool = False,
) -> Path:
    """The folder of a bundle of SmolLM2 for the sentiment task, exported once into bench-output/."""
    name = f"bundle-{targets.replace(',', '-').replace('*', 'x')}-{rank}-{scope}"
    name += "" if storage == "fp32" else f"-{storage}"
    name += "" if layers is None else f"-{layers}-layers"
    name += "-on-host" if context_on_host else ""
    name += "-decode" if decode else ""
    path = OUTPUT / (name if scope == "all" else f"{name}-{context_storage}")
    if not (path / MANIFEST).is_file():
        seedtune.export(
            SOURCE,
            task="sentiment",
            out=path,
            targets=targets,
            rank=rank,
            scope=scope,
            context_storage=context_storage,
            storage=storage,
            layers=layers,
            context_on_host=context_on_host,
            decode=decode,
            check=False,
        )
    return path


def data() -> dict[str, Path]:
    """The files of the demo's rows by the name of the split: "train", "validation", "test"."""
    return write_splits(OUTPUT / "data")


def reviews(bundle: Bundle, split: str = "train") -> list[Example]:
    """The demo's rows, tokenised for the bundle."""
    return load_split(data()[split], bundle.compiled_task()).examples


def review_rows(bundle: Bundle, batch: int, tokens: int) -> dict[str, np.ndarray]:
    """The ends of reviews that are long enough (no padding), as graph inputs."""
    long = [example for example in reviews(bundle) if len(example.ids) >= tokens][:batch]
    return {
        "ids": np.stack([example.ids[-tokens:] for example in long]).astype(np.int64),
        "mask": np.ones((batch, tokens), np.int64),
        "position": np.full(batch, tokens - 1),
        "label": np.array([example.label for example in long]),
    }
