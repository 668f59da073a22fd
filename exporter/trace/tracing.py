"""torch.export to ``onnx_ir``, quietly, with every parameter under its checkpoint name and without its values."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import onnx_ir as ir
import torch

from seedtune.exporter.passes.bfloat16_arithmetic import widen_bfloat16
from seedtune.exporter.passes.emitter import OPSET
from seedtune.exporter.trace.attention import UnsupportedAttention
from seedtune.exporter.trace.validity import refuse_other_ways
from seedtune.runtime.errors import SeedTuneError

DYNAMIC = torch.export.Dim.DYNAMIC
# Under this name the graph says how many tokens a row may have for the trace to hold; None for any number.
HOLDS_TO = "holds_to"


def export_graph(
    wrapper: torch.nn.Module,
    example: tuple[torch.Tensor, ...],
    dynamic_shapes: tuple[Any, ...],
    inputs: Sequence[str],
    outputs: Sequence[str],
    longest_tokens: int,
) -> ir.Model:
    """``wrapper.model`` as ONNX, through the forward pass of ``wrapper``; see the module docstring.

    Args:
        wrapper: a module whose child ``model`` is the transformers model; its parameters are not read.
        example: inputs to trace with.
        dynamic_shapes: per input, which dimensions vary.
        inputs: names for the inputs.
        outputs: names for the outputs.
        longest_tokens: that a row may have.

    Raises:
        SeedTuneError: torch.export or the ONNX conversion cannot follow the model, which says where it stopped; or the
            model takes another way for rows that long.
        UnsupportedAttention: raised by the attention while tracing, and passed on.
    """
    model = wrapper.model
    assert isinstance(model, torch.nn.Module)
    with quiet(), torch.no_grad():
        try:
            program = torch.onnx.export(
                wrapper,
                example,
                dynamo=True,
                optimize=False,
                verbose=False,
                dynamic_shapes=dynamic_shapes,
                input_names=inputs,
                output_names=outputs,
                opset_version=OPSET,
            )
        except Exception as error:
            cause = _innermost(error)
            if isinstance(cause, UnsupportedAttention):
                raise cause from error
            raise SeedTuneError(
                f"{type(model).__name__} cannot be traced to ONNX",
                value=_in_one_line(cause),
                rule="torch.export must follow the forward pass with dynamic rows and tokens",
                remedy="report the model's name and this message; a different transformers version may help",
            ) from error
    assert program is not None
    assert program.exported_program is not None
    holds_to = refuse_other_ways(program.exported_program, type(model).__name__, longest_tokens)
    _name_parameters(program.model.graph, model)
    widen_bfloat16(program.model.graph)
    for node in ir.traversal.RecursiveGraphIterator(program.model.graph):
        node.metadata_props.clear()
    program.model.meta[HOLDS_TO] = holds_to
    return program.model


def _name_parameters(graph: ir.Graph, model: torch.nn.Module) -> None:
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


def parameter_names(model: torch.nn.Module) -> dict[str, str]:
    """Every parameter name of ``model`` -> the first name of that tensor (tied weights have several)."""
    first: dict[int, str] = {}
    return {
        name: first.setdefault(id(parameter), name)
        for name, parameter in model.named_parameters(remove_duplicate=False)
    }


def describe_inputs(graph: ir.Graph, described: dict[str, tuple[ir.DataType, list[int | str]]]) -> None:
    """Gives the inputs of a traced graph, in order, names, types and shapes."""
    for value, (name, (dtype, shape)) in zip(graph.inputs, described.items(), strict=True):
        value.name, value.dtype, value.shape = name, dtype, ir.Shape(shape)


def last_dimension(value: ir.Value, name: str) -> int | str:
    """The size of the last dimension of ``value`` if it is a number, else ``name``."""
    size = value.shape[-1] if value.shape is not None else None
    return size if isinstance(size, int) else name


def _innermost(error: BaseException) -> BaseException:
    """torch wraps a cause several times."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _in_one_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {' '.join(lines[:3])}"


@contextlib.contextmanager
def quiet() -> Iterator[None]:
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
