"""SeedTune: tune a language model with forward passes only.

    import seedtune
    seedtune.export("smollm2-135m-instruct", task="sentiment", out="bundle")
    with seedtune.open("bundle") as model:
        for event in model.tune("train.jsonl", held_out="validation.jsonl", out="run", steps=400):
            print(event)
        print(model.predict([{"text": "A film well worth seeing."}]))

Everything else of the package may change between versions without a word. torch is imported by `export`, `merge`,
`recipe` and `adapter` to GGUF only.
"""

from __future__ import annotations

import importlib
from importlib import metadata
from typing import TYPE_CHECKING, Any

from seedtune.runtime.errors import SeedTuneError

from . import events

if TYPE_CHECKING:
    from seedtune._adapter import adapter
    from seedtune._export import export
    from seedtune._merge import merge
    from seedtune._model import Model, open
    from seedtune._recipe import recipe
    from seedtune._scan import export_classifier, scan
    from seedtune.runtime.model.evaluation import Evaluation
    from seedtune.runtime.run.settings import Settings

__version__ = metadata.version("seedtune")
__all__ = [
    "Evaluation",
    "Model",
    "SeedTuneError",
    "Settings",
    "__version__",
    "adapter",
    "events",
    "export",
    "export_classifier",
    "merge",
    "open",
    "recipe",
    "scan",
]

# Imported when first asked for: this file runs before any module of the package, and most of these need neither ONNX
# Runtime nor numpy, whose pages must not be mapped beside a process whose memory is measured.
_PLACES = {
    "Evaluation": "seedtune.runtime.model.evaluation",
    "Model": "seedtune._model",
    "Settings": "seedtune.runtime.run.settings",
    "adapter": "seedtune._adapter",
    "export": "seedtune._export",
    "export_classifier": "seedtune._scan",
    "merge": "seedtune._merge",
    "open": "seedtune._model",
    "recipe": "seedtune._recipe",
    "scan": "seedtune._scan",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(_PLACES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return __all__
