"""The rows of the label words as parameters of their own: what reads nothing else of the vocabulary needs no table.

`label_rows.keep_label_rows` gathers these rows from the whole table when the graph runs: ``Gather(W, words)``, and of a
stored W likewise of its codes and scales, and of a bias. Here each such Gather gives way to a parameter
``W.label_rows`` in the form that W is stored in, so that the same bits go into the same products. It comes after
`storage.store`, which decides that form.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import numpy as np
import onnx_ir as ir
import torch

from seedtune.exporter.passes.emitter import parameter, static_shape
from seedtune.exporter.storage.encodings import SCALE, Encoding

LABEL_ROWS = ".label_rows"
Named = tuple[str, torch.Tensor | np.ndarray]


def own_label_rows(graph: ir.Graph, words: Sequence[int], encodings: Mapping[str, Encoding]) -> dict[str, Encoding]:
    """Replaces the Gathers of ``words`` (the L token ids of the label words) from parameters along their first axis.

    Args:
        graph: changed in place.
        words: as `keep_label_rows` was given them.
        encodings: parameter -> how it is stored.

    Returns:
        New parameter -> how it is stored.
    """
    found = {}
    for node in list(graph):
        table = node.inputs[0] if node.op_type == "Gather" else None
        if table is None or not table.is_initializer() or table.const_value is not None:
            continue
        axis = node.attributes.get("axis")
        if (axis is not None and axis.as_int()) or not _are(node.inputs[1], words):
            continue
        name = table.name or ""
        base = name.removesuffix(SCALE) if name.removesuffix(SCALE) in encodings else name
        assert table.dtype is not None
        shape = (len(words), *static_shape(table)[1:])
        rows = parameter(graph, base + LABEL_ROWS + name.removeprefix(base), table.dtype, shape)
        for use in list(node.outputs[0].uses()):
            use.node.replace_input_with(use.idx, rows)
        if base in encodings:
            found[base + LABEL_ROWS] = encodings[base]
    return found


def with_label_rows(tensors: Iterable[Named], words: Sequence[int], wanted: Collection[str]) -> Iterator[Named]:
    """``tensors`` and, behind each of which they are ``wanted`` under a name of their own, its rows ``words``."""
    for name, tensor in tensors:
        yield name, tensor
        if name + LABEL_ROWS in wanted:
            yield name + LABEL_ROWS, tensor[list(words)]


def _are(indices: ir.Value | None, words: Sequence[int]) -> bool:
    """Whether ``indices`` are ``words``, plus what is zero when the graph runs."""
    producer = None if indices is None else indices.producer()
    if producer is None or producer.op_type != "Add" or producer.inputs[1] is None:
        return False
    constant = producer.inputs[1].const_value
    return constant is not None and constant.numpy().tolist() == list(words)
