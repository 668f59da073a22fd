"""SeedTune: tune a language model with forward passes only.

    import seedtune
    seedtune.export("smollm2-135m-instruct", task="sentiment", out="bundle")
    with seedtune.open("bundle") as model:
        for event in model.tune("train.jsonl", held_out="validation.jsonl", out="run", steps=400):
            print(event)
        print(model.predict([{"text": "A film well worth seeing."}]))

Everything else of the package may change between versions without a word. torch is imported by `export` only.
"""

from __future__ import annotations

from importlib import metadata

from seedtune._export import export
from seedtune._model import Model, open
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.model.evaluation import Evaluation
from seedtune.runtime.run.settings import Settings

from . import events

__version__ = metadata.version("seedtune")
__all__ = ["Evaluation", "Model", "SeedTuneError", "Settings", "__version__", "events", "export", "open"]
