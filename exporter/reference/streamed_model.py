"""transformers' model computing in float32 while its weights stay in their file.

A checkpoint of 1.3 billion half-precision weights is 5.3 GB in float32. Here every module gets float32 copies of its
own parameters just before it runs and gives them up right after, so that one layer is alive at a time. The copies hold
what the stored form stands for (`encodings.decoded`), and for a target, ``W + B A`` of the state that is set.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from seedtune.exporter.checkpoint import Checkpoint
from seedtune.exporter.storage.encodings import Encoding, decoded
from seedtune.runtime.bundle.low_rank import lora_a_values
from seedtune.runtime.bundle.manifest import StateLayout

Change = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]


class StreamedModel(torch.nn.Module):
    """The model of ``checkpoint``, loaded by transformers alone, called as it would be.

    Args:
        checkpoint: whose weights it has.
        encodings: parameter -> the form it is stored in; others are float32 as they are.

    Raises:
        SeedTuneError: as `Checkpoint.tensors` for missing or ill-shaped weights.
    """

    def __init__(self, checkpoint: Checkpoint, encodings: Mapping[str, Encoding]) -> None:
        super().__init__()
        self.model = checkpoint.stored_model()
        self._encodings = encodings
        self._changes: dict[str, Change] = {}
        _restore_buffers(self.model, checkpoint.skeleton())
        # A tied parameter goes by its first name, as in the weights file.
        self._names = {id(parameter): name for name, parameter in self.model.named_parameters()}
        for module in self.model.modules():
            if any(parameter is not None for parameter in module._parameters.values()):
                self._stream(module)

    def forward(self, *arguments: Any, **keywords: Any) -> Any:
        """What the model itself returns."""
        return self.model(*arguments, **keywords)

    def set_state(self, layout: StateLayout, state: npt.NDArray[np.float32] | None) -> None:
        """Every target's weight becomes ``W + B A`` with B from ``state`` [n]; None for W alone."""
        self._changes = {}
        if state is None:
            return
        lora_a = lora_a_values(layout)
        for target in layout.targets:
            size = target.out_features * target.rank
            b = state[target.offset : target.offset + size].reshape(target.out_features, target.rank)
            self._changes[f"{target.name}.weight"] = (lora_a[target.lora_a], b)

    def _stream(self, module: torch.nn.Module) -> None:
        stored = {name: value for name, value in module._parameters.items() if value is not None}

        def fill(_module: torch.nn.Module, _inputs: Any) -> None:
            for name, parameter in stored.items():
                module._parameters[name] = self._values(parameter, type(module).__name__ == "Conv1D")

        def empty(*_arguments: Any) -> None:
            module._parameters.update(stored)

        module.register_forward_pre_hook(fill)
        module.register_forward_hook(empty, always_call=True)

    def _values(self, parameter: torch.nn.Parameter, transposed: bool) -> torch.nn.Parameter:
        """Conv1D layers keep W as [i, o]."""
        name = self._names[id(parameter)]
        encoding = self._encodings.get(name)
        values = torch.from_numpy(decoded(encoding, parameter.data)) if encoding else parameter.data.float()
        if name in self._changes:
            a, b = self._changes[name]
            change = torch.from_numpy(b @ a)
            values = values + (change.T if transposed else change)
        return torch.nn.Parameter(values, requires_grad=False)


def _restore_buffers(model: torch.nn.Module, skeleton: torch.nn.Module) -> None:
    """Gives ``model`` the float buffers of a float32 model: rotary tables made in half precision would be coarser."""
    wanted = dict(skeleton.named_buffers())
    stored = model.state_dict().keys()
    for name, buffer in model.named_buffers():
        if buffer.is_floating_point():
            owner, _, last = name.rpartition(".")
            model.get_submodule(owner)._buffers[last] = buffer.float() if name in stored else wanted[name]
