"""Small graphs of two or three kinds of nodes, as files of every form, and pickles as Python 2 wrote them."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse


def blocks(nodes: int = 90, classes: int = 3, seed: int = 0) -> dict[str, Any]:
    """A graph whose nodes are joined to their own class six times likelier, with features that tell it badly."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, nodes)
    same = labels[:, None] == labels[None, :]
    joined = np.triu(random.random((nodes, nodes)) < np.where(same, 0.18, 0.03), 1)
    features = (random.random((nodes, 4 * classes)) < 0.15).astype(np.float32)
    for number, label in enumerate(labels):
        features[number, 4 * label + random.integers(0, 4)] = 1
    return {"features": features, "edges": np.argwhere(joined), "labels": labels.astype(np.int64)}


def npz(path: Path, **changed: Any) -> Path:
    """The graph of :func:`blocks` at ``path``, with other arrays in place of its own; None leaves one out."""
    arrays = {name: array for name, array in (blocks() | changed).items() if array is not None}
    np.savez(path, **arrays)
    return path


def old_array(array: np.ndarray) -> bytes:
    """Opcodes that Python 2 wrote for an array."""
    kind = array.dtype.str[1:].encode()
    shape = b"(" + b"".join(b"J" + struct.pack("<i", size) for size in array.shape) + b"t"
    raw = array.tobytes()
    return (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01"
        + shape
        + b"cnumpy\ndtype\nU\x02" + kind + b"K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        + b"\x89T" + struct.pack("<i", len(raw)) + raw + b"tb"
    )  # fmt: skip


def old_table(table: scipy.sparse.csr_array) -> bytes:
    """Opcodes that Python 2 wrote for a sparse table."""
    said = b"ccopy_reg\n_reconstructor\ncscipy.sparse.csr\ncsr_matrix\nc__builtin__\nobject\nN\x87R}("
    said += b"U\x06_shape" + b"".join(b"J" + struct.pack("<i", size) for size in table.shape) + b"\x86"
    for name, part in (("data", table.data), ("indices", table.indices), ("indptr", table.indptr)):
        said += b"U" + bytes([len(name)]) + name.encode() + old_array(part)
    return said + b"ub"


def old_lists(neighbours: dict[int, list[int]]) -> bytes:
    """Opcodes that Python 2 wrote for a defaultdict of lists."""
    said = b"ccollections\ndefaultdict\nc__builtin__\nlist\n\x85R("
    for node, others in neighbours.items():
        said += b"J" + struct.pack("<i", node) + b"]("
        said += b"".join(b"J" + struct.pack("<i", other) for other in others) + b"e"
    return said + b"u"


def pickled(opcodes: bytes) -> bytes:
    """A whole pickle."""
    return b"\x80\x02" + opcodes + b"."


def planetoid(folder: Path, name: str = "small") -> dict[str, Any]:
    """Writes the graph of :func:`blocks`, its last 20 nodes as test nodes in disorder and one of them left out.

    Returns:
        ``features``, ``labels`` (-1 for the node that was left out) and ``edges`` that a reader should find.
    """
    found = blocks()
    features, labels, edges = found["features"], found["labels"], found["edges"]
    nodes, first = len(labels), len(labels) - 20
    left_out = nodes - 5
    order = np.random.default_rng(1).permutation(np.setdiff1d(np.arange(first, nodes), [left_out]))
    one_hot = np.eye(3, dtype=np.int32)[labels]
    sparse = scipy.sparse.csr_array(features)
    neighbours: dict[int, list[int]] = {node: [] for node in range(nodes)}
    for one, other in edges:
        neighbours[int(one)].append(int(other))
        neighbours[int(other)].append(int(one))
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "allx": old_table(sparse[:first]), "x": old_table(sparse[:12]), "tx": old_table(sparse[order]),
        "ally": old_array(one_hot[:first]), "y": old_array(one_hot[:12]), "ty": old_array(one_hot[order]),
        "graph": old_lists(neighbours),
    }  # fmt: skip
    for part, opcodes in files.items():
        (folder / f"ind.{name}.{part}").write_bytes(pickled(opcodes))
    (folder / f"ind.{name}.test.index").write_text("".join(f"{node}\n" for node in order))
    expected = features.copy()
    expected[left_out] = 0
    said = labels.copy()
    said[left_out] = -1
    return {"features": expected, "labels": said, "edges": edges, "test": np.sort(order)}
