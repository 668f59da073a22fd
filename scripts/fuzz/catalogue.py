"""The targets by name; each is imported when it is asked for, as some need torch."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

from fuzz.target import Target


@dataclass(frozen=True)
class Entry:
    """Where a target is.

    Attributes:
        module: in `fuzz.targets`.
        kind: its class.
        share: its inputs of 100,000 over all targets.
        heavy: whether it imports torch.
    """

    module: str
    kind: str
    share: int
    heavy: bool = False


TARGETS = {
    "journal": Entry("journal", "JournalTarget", 17_000),
    "cache": Entry("cache", "CacheTarget", 12_000),
    "manifest": Entry("bundle", "ManifestTarget", 12_000),
    "bundle": Entry("bundle", "BundleTarget", 3_000),
    "stages": Entry("stages", "StagesTarget", 8_000),
    "weights": Entry("stages", "WeightsTarget", 8_000),
    "tokenizer": Entry("tokenizer", "TokenizerTarget", 6_000),
    "task": Entry("task", "TaskTarget", 8_000),
    "config": Entry("config", "ConfigTarget", 6_000),
    "run": Entry("run", "RunTarget", 6_000),
    "features": Entry("features", "FeaturesTarget", 3_000),
    "rows": Entry("features", "RowsTarget", 3_000),
    "gguf": Entry("gguf", "HeaderTarget", 5_000, heavy=True),
    "gguf-model": Entry("gguf", "ModelTarget", 500, heavy=True),
    "checkpoint": Entry("checkpoint", "CheckpointTarget", 2_500, heavy=True),
    # Only where it is asked for by name.
    "faulty": Entry("faulty", "FaultyTarget", 0),
}


def target_class(name: str) -> type[Target]:
    """The target called ``name``."""
    entry = TARGETS[name]
    found: type[Target] = getattr(importlib.import_module(f"fuzz.targets.{entry.module}"), entry.kind)
    return found


def shares(names: list[str], inputs: int) -> dict[str, int]:
    """How many of ``inputs`` each of ``names`` gets, at least one; a target without a share gets all."""
    whole = sum(TARGETS[name].share for name in names)
    if not whole:
        return dict.fromkeys(names, inputs)
    return {name: max(1, inputs * TARGETS[name].share // whole) for name in names}
