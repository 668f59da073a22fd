"""A GGUF file: configuration and tokenizer by transformers, tensors dequantised one by one from the mapping.

transformers' own loader dequantises the whole model into memory first; this streams, with transformers'
tables for names and layouts, and a test holds the two equal bit for bit.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from gguf import dequantize
from torch import nn
from transformers import AutoConfig, PretrainedConfig, PreTrainedTokenizerBase
from transformers.modeling_gguf_pytorch_utils import (
    TENSOR_PROCESSORS,
    TensorProcessor,
    get_gguf_hf_weights_map,
)

from seedtune.exporter.checkpoint.checkpoint import Checkpoint
from seedtune.exporter.checkpoint.finite import check_finite
from seedtune.exporter.checkpoint.gguf.header import GgufHeader, read_header
from seedtune.exporter.checkpoint.gguf.keys import settle_keys
from seedtune.exporter.checkpoint.gguf.shared_reader import shared_reader
from seedtune.exporter.checkpoint.gguf.tokenizer import load_gguf_tokenizer
from seedtune.exporter.checkpoint.loading import SHOWN, load_whole, mismatched, missing
from seedtune.exporter.checkpoint.quiet import quiet
from seedtune.exporter.checkpoint.sizes import require_sizes
from seedtune.exporter.checkpoint.skeleton import Attention, first_names, stored_tensors
from seedtune.runtime.errors import SeedTuneError

# Frequencies of rotary positions: the configuration says the same, or the file was refused (keys.py).
ROTARY = re.compile(r"rope_(freqs|factors_\w+)\.weight|(blk\.\d+\.)?attn_rot_embd(\.weight)?")


class GgufCheckpoint(Checkpoint):
    """One GGUF file.

    Raises:
        SeedTuneError: if the file is damaged, split, of an architecture that transformers cannot convert, or says
            something of its model that transformers would ignore.
    """

    def __init__(self, path: Path, source: str | None = None) -> None:
        self.path = path
        self.header: GgufHeader = read_header(path)
        self.architecture = self.header.text("general.architecture") or ""
        config = _read_config(path, self.architecture)
        settle_keys(config, self.header, path)
        super().__init__(source or str(path), config)
        require_sizes(self.config, [tensor.shape for tensor in self.header.tensors], path)
        self.pretrained_tokenizer  # noqa: B018 - a broken vocabulary is refused now, not after the export

    @cached_property
    def pretrained_tokenizer(self) -> PreTrainedTokenizerBase:
        """transformers' own tokenizer, loaded once."""
        with shared_reader():
            return load_gguf_tokenizer(self.path, self.header)

    def tensors(self) -> Iterator[tuple[str, torch.Tensor]]:
        """See :meth:`Checkpoint.tensors`; every tensor is float32."""
        model = self.skeleton()
        shapes = {name: value.shape for name, value in stored_tensors(model).items()}
        processor = TENSOR_PROCESSORS.get(self.architecture, TensorProcessor)(config=self.config.to_dict())  # type: ignore[no-untyped-call]
        first = first_names(model)
        names = {stored: first.get(name, name) for stored, name in self._names(model, processor).items()}
        present = {names[tensor.name] for tensor in self.header.tensors if tensor.name in names}
        if absent := sorted(shapes.keys() - present):
            raise missing(absent, self.path)
        unplaced = [tensor.name for tensor in self.header.tensors if tensor.name not in names]
        if surplus := [name for name in unplaced if not ROTARY.fullmatch(name)]:
            raise SeedTuneError(
                f"the file holds tensors that transformers' model has no place for ({len(surplus):,})",
                file=self.path,
                value=surplus[:SHOWN],
                rule="every tensor is a parameter of the model that the file's metadata describes",
                remedy="use the model's safetensors instead",
            )
        return self._stream(processor, names, shapes)

    def reference(self, attention: Attention = "eager") -> nn.Module:
        """See :meth:`Checkpoint.reference`."""
        # transformers draws a bar of its own here, whatever its settings say.
        with contextlib.redirect_stderr(io.StringIO()), shared_reader():
            return load_whole(
                self.path.parent,
                self.family,
                torch.float32,
                attention,
                file=self.path,
                config=self.config,
                gguf_file=self.path.name,
            )

    def stored_model(self) -> nn.Module:
        """See :meth:`Checkpoint.stored_model`: transformers reads this format into float32 only."""
        return self.reference()

    @property
    def weight_paths(self) -> tuple[Path, ...]:
        """See :meth:`Checkpoint.weight_paths`."""
        return (self.path,)

    def _names(self, model: nn.Module, processor: TensorProcessor) -> dict[str, str]:
        """The names in the file to the names in ``model``, by transformers' own table."""
        wanted = stored_tensors(model).keys()
        try:
            names = get_gguf_hf_weights_map(_Flat(model), processor)
            if wanted - set(names.values()):
                names = get_gguf_hf_weights_map(model, processor)
        except NotImplementedError as error:
            raise _unsupported(self.path, self.architecture, error) from error
        return dict(names)

    def _stream(
        self,
        processor: TensorProcessor,
        names: dict[str, str],
        shapes: dict[str, torch.Size],
    ) -> Iterator[tuple[str, torch.Tensor]]:
        # Processors of mixtures of experts and of GPT-2's head put what they finish in here.
        deposited: dict[str, torch.Tensor] = {}
        # A few files repeat a tied embedding as their head.
        yielded: set[str] = set()
        for stored in self.header.tensors:
            if stored.name not in names or names[stored.name] in yielded:
                continue
            try:
                values = dequantize(stored.data, stored.tensor_type)
                done = processor.process(  # type: ignore[no-untyped-call]
                    weights=values,
                    name=stored.name,
                    tensor_key_mapping=names,
                    parsed_parameters={"tensors": deposited},
                )
            except (NotImplementedError, ValueError, IndexError, TypeError) as error:
                raise _unsupported(self.path, f"{stored.name}: {stored.tensor_type.name}", error) from error
            if done.name is None:
                continue
            # Unquantised blocks are read-only views of the file, which torch does not take.
            tensor = torch.from_numpy(np.require(done.weights, dtype=np.float32, requirements=["C", "W"]))
            del values, done
            yielded.add(names[stored.name])
            yield self._checked(names[stored.name], tensor, shapes)
        for name in list(deposited):
            yield self._checked(name, deposited.pop(name), shapes)

    def _checked(self, name: str, tensor: torch.Tensor, shapes: dict[str, torch.Size]) -> tuple[str, torch.Tensor]:
        if tensor.shape != shapes[name]:
            raise mismatched([f"{name} {list(tensor.shape)} instead of {list(shapes[name])}"], self.path)
        check_finite(name, tensor, str(self.path))
        return name, tensor


class _Flat:
    """A model without children, for get_gguf_hf_weights_map.

    It builds its table anew for every submodule (7 s for SmolLM2), which only Bloom-like files need.
    """

    def __init__(self, model: nn.Module) -> None:
        self.config = model.config
        self._state = model.state_dict()

    def state_dict(self) -> dict[str, torch.Tensor]:
        return self._state

    def named_children(self) -> tuple[()]:
        return ()


def _read_config(path: Path, architecture: str) -> PretrainedConfig:
    try:
        with quiet(), shared_reader():
            config: PretrainedConfig = AutoConfig.from_pretrained(
                str(path.parent), gguf_file=path.name, local_files_only=True
            )
            return config
    except MemoryError:
        raise
    except Exception as error:  # whatever transformers stumbles over in values that it does not expect
        raise _unsupported(path, architecture, error) from error


def _unsupported(path: Path, value: str, error: BaseException) -> SeedTuneError:
    return SeedTuneError(
        "transformers cannot convert this GGUF file",
        file=path,
        value=value,
        rule=f"an architecture and block types that transformers and gguf know; they said: {error}",
        remedy="use the model's safetensors instead",
    )
