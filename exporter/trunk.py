"""torch.export of a language model that scores one position of each row, as an ``onnx_ir`` model.

The model is traced as it is: a forward pre-hook on its language-model head narrows the hidden states to the label
position, so that whatever an architecture does after the head (scaling, soft-capping) stays in the graph. The trace
never reads a parameter: the skeleton's parameters are uninitialised, and leave here by name and shape only.

Inputs   ids [B, T] int64, mask [B, T] int64 (1 = token, 0 = padding on the right), position [B] int64
Outputs  logits [B, V] float32, hidden [B, H] float32 (what the head reads at the label position)
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from types import SimpleNamespace

import onnx_ir as ir
import torch

from seedtune.exporter.passes.emitter import set_outputs
from seedtune.exporter.passes.simplify import simplify
from seedtune.runtime.errors import SeedTuneError

OPSET = 21
EXAMPLE_ROWS, EXAMPLE_TOKENS = 3, 11


class LabelScores(torch.nn.Module):
    """``model`` as a function of (ids, mask, position); see the module docstring for shapes."""

    def __init__(self, model: torch.nn.Module, family: str) -> None:
        super().__init__()
        self.model = model
        self.options = {"use_cache": False} if family == "causal" else {}
        self.seen = SimpleNamespace(position=None, hidden=None)
        self.hook = head_of(model).register_forward_pre_hook(self._narrow)

    def _narrow(self, _head: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        hidden = inputs[0]
        index = self.seen.position[:, None, None].expand(-1, 1, hidden.shape[-1])
        narrowed = torch.gather(hidden, 1, index)
        self.seen.hidden = narrowed[:, 0]
        return (narrowed, *inputs[1:])

    def forward(
        self, ids: torch.Tensor, mask: torch.Tensor, position: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """ids, mask [B, T]; position [B] -> logits [B, V], hidden [B, H]."""
        self.seen.position = position
        logits = self.model(input_ids=ids, attention_mask=mask, return_dict=True, **self.options).logits
        return logits[:, 0], self.seen.hidden


def head_of(model: torch.nn.Module) -> torch.nn.Module:
    """The direct child of ``model`` that turns hidden states into vocabulary logits.

    Raises:
        SeedTuneError: the model does not say where its output embeddings are.
    """
    find = getattr(model, "get_output_embeddings", None)
    output = find() if callable(find) else None
    for name, module in model.named_modules():
        if output is not None and module is output:
            return model.get_submodule(name.split(".")[0])
    raise SeedTuneError(
        "this architecture has no language-model head that can be found",
        value=type(model).__name__,
        rule="get_output_embeddings() names the head of a causal or masked language model",
        remedy="export a ...ForCausalLM or ...ForMaskedLM checkpoint",
    )


def trace(model: torch.nn.Module, family: str) -> ir.Model:
    """``model`` (float32, eval) as ONNX, simplified, with every parameter named as in ``model.state_dict()``.

    Args:
        model: a transformers model; its parameters are not read.
        family: "causal" or "masked".

    Raises:
        SeedTuneError: torch.export or the ONNX conversion cannot follow the model; says where it stopped.
    """
    wrapper = LabelScores(model, family)
    example = (
        torch.arange(EXAMPLE_ROWS * EXAMPLE_TOKENS).reshape(EXAMPLE_ROWS, EXAMPLE_TOKENS) % 50 + 5,
        torch.ones(EXAMPLE_ROWS, EXAMPLE_TOKENS, dtype=torch.long),
        torch.full((EXAMPLE_ROWS,), EXAMPLE_TOKENS - 1),
    )
    rows = {0: torch.export.Dim.DYNAMIC}
    grid = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    with _quiet(), torch.no_grad():
        try:
            program = torch.onnx.export(
                wrapper,
                example,
                dynamo=True,
                optimize=False,
                verbose=False,
                dynamic_shapes=(grid, grid, rows),
                input_names=["ids", "mask", "position"],
                output_names=["logits", "hidden"],
                opset_version=OPSET,
            )
        except Exception as error:
            raise SeedTuneError(
                f"{type(model).__name__} cannot be traced to ONNX",
                value=_where(error),
                rule="torch.export must follow the forward pass with dynamic rows and tokens",
                remedy="report the model's name and this message; a different transformers version may help",
            ) from error
        finally:
            wrapper.hook.remove()
    assert program is not None
    return _cleaned(program.model, model)


def _cleaned(traced: ir.Model, model: torch.nn.Module) -> ir.Model:
    graph = traced.graph
    names = parameter_names(model)
    for value in list(graph.initializers.values()):
        assert value.name is not None
        plain = value.name.removeprefix("model.")
        if plain in names:
            old, new = value.name, names[plain]
            del graph.initializers[old]
            value.name = new
            value.const_value = None
            twin = graph.initializers.get(new)
            if twin is None:
                graph.initializers[new] = value
            else:
                ir.convenience.replace_all_uses_with(value, twin)
    for node in ir.traversal.RecursiveGraphIterator(graph):
        node.metadata_props.clear()
    logits, hidden = graph.outputs
    hidden_size = hidden.shape[1] if hidden.shape is not None else "hidden"
    logits_size = logits.shape[1] if logits.shape is not None else "vocabulary"
    for value, name, dtype, shape in (
        (graph.inputs[0], "ids", ir.DataType.INT64, ["batch", "tokens"]),
        (graph.inputs[1], "mask", ir.DataType.INT64, ["batch", "tokens"]),
        (graph.inputs[2], "position", ir.DataType.INT64, ["batch"]),
    ):
        value.name, value.dtype, value.shape = name, dtype, ir.Shape(shape)
    set_outputs(
        graph,
        {
            "logits": (logits, ir.DataType.FLOAT, ["batch", _size(logits_size)]),
            "hidden": (hidden, ir.DataType.FLOAT, ["batch", _size(hidden_size)]),
        },
    )
    return simplify(traced)


def _size(dimension: object) -> int | str:
    return dimension if isinstance(dimension, int) else str(dimension)


def parameter_names(model: torch.nn.Module) -> dict[str, str]:
    """Every parameter name of ``model`` -> the first name of that tensor (tied weights have several)."""
    first: dict[int, str] = {}
    return {
        name: first.setdefault(id(parameter), name)
        for name, parameter in model.named_parameters(remove_duplicate=False)
    }


def _where(error: BaseException) -> str:
    """The innermost cause in one line: torch wraps it several times."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {' '.join(lines[:3])}"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences the exporter's progress prints and warnings, none of which asks anything of the user."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "torch.fx")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
