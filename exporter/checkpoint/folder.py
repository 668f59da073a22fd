"""A model folder as transformers saves it: config.json, weights in safetensors or .bin, tokenizer files.

Tensors are not read by hand: transformers' own loader knows every rename and merge of old checkpoints, and
keeps tensors mapped as long as it is asked for the type they are stored in (measured by
tests/checkpoint/test_checkpoint_memory.py).
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import torch
from torch import nn
from transformers import AutoConfig, PretrainedConfig, PreTrainedTokenizerBase

from seedtune.exporter.checkpoint.checkpoint import Checkpoint
from seedtune.exporter.checkpoint.finite import check_finite
from seedtune.exporter.checkpoint.foreign import refuse_adapter_files, refuse_mlx, wrappers_of
from seedtune.exporter.checkpoint.generation import stated_end_ids
from seedtune.exporter.checkpoint.loading import check_ties, load_whole
from seedtune.exporter.checkpoint.quiet import quiet
from seedtune.exporter.checkpoint.sizes import require_sizes
from seedtune.exporter.checkpoint.skeleton import Attention, stored_tensors
from seedtune.exporter.checkpoint.tokenizer import load_tokenizer
from seedtune.exporter.checkpoint.weight_files import CANDIDATES, WeightFiles, find_weight_files
from seedtune.runtime.errors import SeedTuneError

# Entries of config.json that choose kernels or further outputs.
RUN_SETTINGS = {
    "_experts_implementation": None,
    "fusion_config": None,
    "output_attentions": False,
    "output_hidden_states": False,
    "return_dict": True,
}


class FolderCheckpoint(Checkpoint):
    """A folder on disk, also one that the hub's cache holds.

    Opening reads config.json, the tokenizer and the weights' headers.

    Raises:
        SeedTuneError: for any of them missing or damaged.
    """

    def __init__(self, folder: Path, source: str | None = None) -> None:
        self.folder = folder
        present = {path.name for path in folder.iterdir()}
        whole = "config.json" in present and bool(present & {name for name, _ in CANDIDATES})
        refuse_adapter_files(present, whole, folder)
        super().__init__(source or str(folder), read_config(folder))
        self.weight_files: WeightFiles = find_weight_files(folder)
        require_sizes(self.config, None, folder / "config.json")
        self.wrappers = wrappers_of(self.weight_files.names)
        if self.wrappers:
            wrapped = re.compile("|".join(self.wrappers))
            example = next(name for name in self.weight_files.names if wrapped.search(name))
            warnings.warn(f"{folder}: what wraps the names of weights is left out, as in {example}", stacklevel=2)
        self.pretrained_tokenizer  # noqa: B018 - a missing vocabulary is refused now, not after the export

    @cached_property
    def pretrained_tokenizer(self) -> PreTrainedTokenizerBase:
        """transformers' own tokenizer, loaded once."""
        return load_tokenizer(self.folder)

    def tensors(self) -> Iterator[tuple[str, torch.Tensor]]:
        """See :meth:`Checkpoint.tensors`."""
        loaded = self.stored_model()
        check_ties(loaded, self.skeleton(), self.folder / "config.json")
        return self._checked(loaded)

    def reference(self, attention: Attention = "eager") -> nn.Module:
        """See :meth:`Checkpoint.reference`."""
        return self._load(torch.float32, attention)

    def stored_model(self) -> nn.Module:
        """See :meth:`Checkpoint.stored_model`."""
        return self._load(self.weight_files.dtype, "eager")

    @property
    def end_ids(self) -> tuple[int, ...]:
        """See :meth:`Checkpoint.end_ids`; those of generation_config.json, where there is one, count too."""
        return tuple(sorted({*super().end_ids, *stated_end_ids(self.folder, self.vocabulary_size)}))

    @property
    def weight_paths(self) -> tuple[Path, ...]:
        """See :meth:`Checkpoint.weight_paths`."""
        return self.weight_files.files

    def _load(self, dtype: torch.dtype, attention: Attention) -> nn.Module:
        first = self.weight_files.files[0]
        return load_whole(
            self.folder,
            self.family,
            dtype,
            attention,
            file=first if len(self.weight_files.files) == 1 else self.folder,
            use_safetensors=self.weight_files.kind == "safetensors",
            config=self.config,
            key_mapping=self.wrappers or None,
        )

    def _checked(self, loaded: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
        for name, tensor in stored_tensors(loaded).items():
            check_finite(name, tensor, str(self.folder))
            yield name, tensor.detach()


def read_config(folder: Path) -> PretrainedConfig:
    """transformers' configuration of ``folder``.

    Raises:
        SeedTuneError: if config.json is missing, is no JSON, describes no model that transformers implements
            (code that comes with a checkpoint is never run), or describes quantised weights.
    """
    file = folder / "config.json"
    if not file.is_file():
        raise SeedTuneError(
            "the configuration is missing",
            file=file,
            rule="a model folder holds config.json, weights and tokenizer files",
            remedy="check that this is the folder you meant",
        )
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise SeedTuneError(
            "the configuration is not JSON",
            file=f"{file}:{getattr(error, 'lineno', 1)}",
            value=str(error),
            remedy="fetch config.json again",
        ) from error
    if not isinstance(stored, dict):
        raise SeedTuneError("the configuration is not a JSON object", file=file, remedy="fetch config.json again")
    refuse_mlx(stored, file)
    if stored.get("quantization_config"):
        raise SeedTuneError(
            "the weights are quantised in a way that SeedTune does not read",
            file=file,
            value=stored["quantization_config"],
            rule="float32, float16 or bfloat16 weights, or a GGUF file",
            remedy="fetch the unquantised model or a GGUF of it; export stores it in fewer bits itself",
        )
    try:
        with quiet():
            config: PretrainedConfig = AutoConfig.from_pretrained(
                str(folder), local_files_only=True, trust_remote_code=False
            )
    except MemoryError:
        raise
    except Exception as error:  # whatever transformers stumbles over in values that it does not expect
        raise SeedTuneError(
            "transformers does not know this configuration",
            file=file,
            value=stored.get("model_type"),
            rule="a model_type that transformers implements, with valid values; "
            "code that comes with a checkpoint is never run",
            remedy="choose another model or upgrade transformers; it said: "
            + (str(error).strip().splitlines() or [""])[0],
        ) from error
    _forget_how_to_run(config)
    return config


def _forget_how_to_run(config: PretrainedConfig) -> None:
    """Drops what a configuration says of how to run the model, not of what it computes: both is decided here."""
    config._attn_implementation = None
    for name, neutral in RUN_SETTINGS.items():
        if hasattr(config, name):
            setattr(config, name, neutral)
