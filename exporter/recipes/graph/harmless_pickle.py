"""Reads the pickles of the Planetoid files without running anything that they name.

A pickle is a program: it may call whatever it names. Here every name that those files use stands for a record that only
remembers what it was given, made anew for each file, and any other name is refused. numpy and scipy never see the
pickle; arrays are made afterwards of bytes whose number, type and shape were compared.
"""

from __future__ import annotations

import io
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from seedtune.runtime.errors import SeedTuneError

# Cora, Citeseer and Pubmed have 0.2 to 11 MB a file.
MOST_BYTES = 64 << 20
KINDS = {"f4", "f8", "i4", "i8", "u1", "b1"}
MOST_VALUES = 1 << 28


class _Records(pickle.Unpickler):
    """Unpickler whose names are records."""

    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data), encoding="latin1")

        class Array:
            state: Any = None

            def __setstate__(self, state: Any) -> None:
                self.state = state

        class Kind:
            def __init__(self, name: Any = "", *_flags: Any) -> None:
                self.name, self.order = name, "="

            def __setstate__(self, state: Any) -> None:
                self.order = state[1] if isinstance(state, tuple) and len(state) > 1 else "="

        class Sparse:
            fields: Any = None

            def __init__(self, *_arguments: Any) -> None:
                pass

            def __setstate__(self, state: Any) -> None:
                self.fields = state

        class Mapping(dict):  # type: ignore[type-arg]
            def __init__(self, *_arguments: Any) -> None:
                super().__init__()

        def made(kind: Any = None, *_arguments: Any) -> Any:
            return Sparse() if kind is Sparse else Array()

        def encoded(text: Any = "", *_arguments: Any) -> bytes:
            return text.encode("latin1") if isinstance(text, str) else b""

        self.array, self.kind, self.sparse, self.mapping = Array, Kind, Sparse, Mapping
        self._names: dict[str, Any] = {
            "numpy.ndarray": Array,
            "numpy.dtype": Kind,
            "numpy.core.multiarray._reconstruct": made,
            "numpy._core.multiarray._reconstruct": made,
            "scipy.sparse.csr.csr_matrix": Sparse,
            "scipy.sparse._csr.csr_matrix": Sparse,
            "copy_reg._reconstructor": made,
            "copyreg._reconstructor": made,
            # How Python 3 writes bytes in a form that Python 2 reads.
            "_codecs.encode": encoded,
            "collections.defaultdict": Mapping,
            # Only ever an argument, which is left unread; no class, so it cannot be called.
            "__builtin__.list": None,
            "builtins.list": None,
            "__builtin__.object": None,
            "builtins.object": None,
        }

    def find_class(self, module: str, name: str) -> Any:
        """The record for a name."""
        try:
            return self._names[f"{module}.{name}"]
        except KeyError:
            raise pickle.UnpicklingError(f"it names {module}.{name}"[:200]) from None


def read_pickle(path: Path) -> npt.NDArray[np.generic] | scipy.sparse.csr_array | dict[int, list[int]]:
    """What ``path`` holds: an array, a sparse table, or node -> neighbours.

    Raises:
        SeedTuneError: it cannot be read, names something else, or holds what none of the Planetoid files does.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise pickle.UnpicklingError(f"it has {path.stat().st_size:,} bytes")
        records = _Records(path.read_bytes())
        found = records.load()
        if isinstance(found, records.array):
            return _array(records, found)
        if isinstance(found, records.sparse):
            return _table(records, found)
        if isinstance(found, records.mapping):
            return _mapping(found)
        raise ValueError(f"it holds a {type(found).__name__}")
    # A damaged pickle fails in any way that its instructions can.
    except Exception as error:
        raise SeedTuneError(
            "this file is not read",
            file=path,
            value=f"{type(error).__name__}: {error}"[:200],
            rule="a pickle of an array, a sparse table or lists of neighbours, as Planetoid's; nothing in it is run",
            remedy="take the original file, or write the graph as an .npz; see docs/guides/recipes.md",
        ) from error


def _array(records: _Records, found: Any) -> npt.NDArray[np.generic]:
    _version, shape, kind, by_columns, data = found.state
    if not isinstance(kind, records.kind) or kind.name not in KINDS or kind.order not in ("<", "=", "|"):
        raise ValueError(f"an array of kind {getattr(kind, 'name', kind)!r}")
    if not isinstance(shape, tuple) or not 1 <= len(shape) <= 2 or not all(type(size) is int for size in shape):
        raise ValueError(f"an array of shape {shape!r}")
    raw = data.encode("latin1") if isinstance(data, str) else data
    kind_of = np.dtype(kind.name)
    if min(shape) < 0 or math.prod(shape) > MOST_VALUES or len(raw) != math.prod(shape) * kind_of.itemsize:
        raise ValueError(f"an array of shape {shape!r} in {len(raw)} bytes")
    return np.frombuffer(raw, kind_of).reshape(shape, order="F" if by_columns else "C")


def _table(records: _Records, found: Any) -> scipy.sparse.csr_array:
    fields = found.fields
    shape = fields["_shape"]
    if not isinstance(shape, tuple) or len(shape) != 2 or not all(type(size) is int for size in shape):
        raise ValueError(f"a table of shape {shape!r}")
    parts = [_array(records, fields[name]) for name in ("data", "indices", "indptr")]
    table = scipy.sparse.csr_array((parts[0], parts[1], parts[2]), shape=shape)
    table.check_format(full_check=True)
    return table


def _mapping(found: dict[Any, Any]) -> dict[int, list[int]]:
    for node, others in found.items():
        if type(node) is not int or not isinstance(others, list) or not all(type(other) is int for other in others):
            raise ValueError("neighbours that are no lists of integers")
    return dict(found)
