"""A model of one's own to run: a forward pass may leave things on its modules, which the next pass would meet."""

from __future__ import annotations

from copy import deepcopy

import torch


def own_copy(model: torch.nn.Module) -> torch.nn.Module:
    """A copy of ``model`` that shares its parameters, which are neither read nor written, and nothing else.

    A pass that computes shapes leaves fake tensors behind, and one that is traced leaves proxies: with longrope,
    transformers keeps frequencies on the module. Buffers are copied too, since a pass may write into them.
    """
    return deepcopy(model, {id(parameter): parameter for parameter in model.parameters()})
