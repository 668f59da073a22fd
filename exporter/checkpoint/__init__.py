"""Where a model comes from: a folder, a GGUF file, the Hugging Face hub, or the embedded default.

``open_checkpoint(source)`` turns what the user named into a :class:`Checkpoint`: configuration, tokenizer, an
empty model to trace, and named tensors that arrive one at a time from a memory-mapped file. Nothing here
knows of graphs, bundles or tasks. Importing this package needs the ``export`` extra (torch first of all).
"""

from seedtune.exporter.checkpoint.checkpoint import Attention, Checkpoint
from seedtune.exporter.checkpoint.fetch.embedded import embedded_models, remove_embedded
from seedtune.exporter.checkpoint.source import open_checkpoint
from seedtune.runtime.task.structure import Family

__all__ = [
    "Attention",
    "Checkpoint",
    "Family",
    "embedded_models",
    "open_checkpoint",
    "remove_embedded",
]
