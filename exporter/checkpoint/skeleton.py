"""A model's modules without its weights, and the names that its weights go by.

Five gigabytes of parameters must not cost five gigabytes: they are allocated and never touched, so the kernel
never backs them. A meta-device model would be cheaper still, but loses the rotary buffers that tracing reads.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Literal

import torch
from torch import nn
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, PretrainedConfig
from transformers.initialization import no_init_weights

from seedtune.exporter.checkpoint.quiet import quiet
from seedtune.runtime.task.structure import Family

Attention = Literal["eager", "sdpa"]

FACTORIES = {"causal": AutoModelForCausalLM, "masked": AutoModelForMaskedLM}


def build_skeleton(config: PretrainedConfig, family: Family, attention: Attention) -> nn.Module:
    """The modules that ``config`` describes, in float32 and eval mode, parameters tied but never written.

    Args:
        config: left unchanged.
        family: which language-model head to build.
        attention: transformers' attention implementation.
    """
    with no_init_weights(), quiet():
        model = FACTORIES[family].from_config(
            deepcopy(config),
            dtype=torch.float32,
            attn_implementation=attention,
            trust_remote_code=False,
        )
    # no_init_weights also skips the tying, which init_weights does.
    model.tie_weights()
    return model.eval().requires_grad_(False)


def stored_tensors(model: nn.Module) -> dict[str, torch.Tensor]:
    """What a checkpoint of ``model`` holds: parameters (once, under their first name), persistent buffers."""
    parameters = dict(model.named_parameters())
    every_parameter = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    buffers = {name: value for name, value in model.state_dict().items() if name not in every_parameter}
    return parameters | buffers


def first_names(model: nn.Module) -> dict[str, str]:
    """Every parameter name of ``model`` to the first name of the same (tied) parameter."""
    first = {id(parameter): name for name, parameter in model.named_parameters()}
    return {name: first[id(value)] for name, value in model.named_parameters(remove_duplicate=False)}
