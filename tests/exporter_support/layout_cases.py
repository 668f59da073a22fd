"""Random cases of operators that move elements: shapes, slices, indices."""

from __future__ import annotations

import numpy as np
from arithmetic_cases import Draw, Make, integers, shapes, unary, values
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from operator_lab import Case

INT = np.int64


def reshape(draw: Draw) -> Case:
    """To one axis, or with what is copied and what is left over."""
    shape = draw(shapes)
    wanted = draw(st.sampled_from([integers(-1), integers(0, -1), integers(1, -1, 1)]))
    return Case("Reshape", [values(draw, shape), wanted])


def transpose(draw: Draw) -> Case:
    """Any order, or none given, which is the reverse."""
    shape = draw(shapes)
    order = draw(st.permutations(range(len(shape))))
    return Case("Transpose", [values(draw, shape)], {"perm": order} if draw(st.booleans()) else {})


def expand(draw: Draw) -> Case:
    """New axes, and axes of size 1 that grow."""
    found = draw(arrays.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3))
    return Case("Expand", [values(draw, found.input_shapes[0]), integers(*found.result_shape)])


def concat(draw: Draw) -> Case:
    """Three parts of different sizes along one axis."""
    shape = draw(shapes)
    axis = draw(st.integers(0, len(shape) - 1))
    parts = [values(draw, (*shape[:axis], draw(st.integers(1, 3)), *shape[axis + 1 :])) for _ in range(3)]
    return Case("Concat", parts, {"axis": axis - draw(st.sampled_from([0, len(shape)]))}, trained=(0, 1, 2))


def split(draw: Draw) -> Case:
    """Two parts, of which the loss reads one."""
    shape = list(draw(shapes))
    axis = draw(st.integers(0, len(shape) - 1))
    shape[axis] += 1
    return Case("Split", [values(draw, shape), integers(1, shape[axis] - 1)], {"axis": axis}, outputs=2)


def slices(draw: Draw) -> Case:
    """Bounds from either end and beyond it; steps of one along two axes, others along one."""
    shape = draw(arrays.array_shapes(min_dims=2, max_dims=3, min_side=2, max_side=4))
    count = draw(st.integers(1, 2))
    axes = draw(st.permutations(range(len(shape))))[:count]
    step = 1 if count == 2 else draw(st.sampled_from([1, 1, 2, -1, -2]))
    bounds = np.array([_bounds(draw, shape[axis], step) for axis in axes], np.int64)
    more = integers(*axes), integers(*[step] * count)
    return Case("Slice", [values(draw, shape), bounds[:, 0], bounds[:, 1], *more])


def _bounds(draw: Draw, size: int, step: int) -> tuple[int, int]:
    """Start and end of something that is not empty, in one of the ways to say it."""
    first = draw(st.integers(0, size - 1))
    starts = [first, first - size]
    if step > 0:
        behind = draw(st.integers(first + 1, size))
        ends = [behind, 2**63 - 1] if behind == size else [behind, behind - size]
        starts += [-size - 3] if first == 0 else []
    else:
        behind = draw(st.integers(-1, first - 1))
        ends = [-(2**62)] if behind == -1 else [behind, behind - size]
        starts += [size + 3] if first == size - 1 else []
    return draw(st.sampled_from(starts)), draw(st.sampled_from(ends))


def pad(draw: Draw) -> Case:
    """Zeros on either side."""
    shape = draw(shapes)
    return Case("Pad", [values(draw, shape), integers(*(draw(st.integers(0, 2)) for _ in range(2 * len(shape))))])


def tile(draw: Draw) -> Case:
    """Repeats."""
    shape = draw(shapes)
    return Case("Tile", [values(draw, shape), integers(*(draw(st.integers(1, 3)) for _ in shape))])


def squeeze(draw: Draw) -> Case:
    """An axis of size 1."""
    shape = draw(shapes)
    return Case("Squeeze", [values(draw, (shape[0], 1, *shape[1:])), integers(1)])


def unsqueeze(draw: Draw) -> Case:
    """Two new axes."""
    return Case("Unsqueeze", [values(draw, draw(shapes)), integers(0, 2)])


def trilu(draw: Draw) -> Case:
    """Either side of a diagonal."""
    shape = (*draw(shapes), 3)
    return Case("Trilu", [values(draw, shape), np.array(draw(st.integers(-2, 2)))], {"upper": draw(st.integers(0, 1))})


def gather(draw: Draw) -> Case:
    """Indices of any rank, which may repeat and count from the end."""
    shape = draw(shapes)
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    size, of_indices = shape[axis], draw(st.sampled_from([(), (1,), (2,), (2, 3)]))
    drawn = np.random.default_rng(draw(st.integers(0, 999))).integers(-size, size, of_indices)
    return Case("Gather", [values(draw, shape), np.asarray(drawn, INT)], {"axis": axis})


def gather_elements(draw: Draw) -> Case:
    """An index for each element along one axis."""
    shape = draw(shapes)
    axis = draw(st.integers(0, len(shape) - 1))
    of_indices = (*shape[:axis], draw(st.integers(1, 4)), *shape[axis + 1 :])
    drawn = np.random.default_rng(draw(st.integers(0, 999))).integers(0, shape[axis], of_indices)
    return Case("GatherElements", [values(draw, shape), drawn.astype(INT)], {"axis": axis})


def scatter_elements(draw: Draw) -> Case:
    """Different places along one axis, replaced or added to."""
    size = draw(st.integers(2, 4))
    places = np.array(draw(st.permutations(range(size)))[:2], INT)[:, None] * np.ones((1, 3), INT)
    mode = {"reduction": "add"} if draw(st.booleans()) else {}
    return Case("ScatterElements", [values(draw, (size, 3)), places, values(draw, (2, 3))], mode, trained=(0, 2))


def scatter_nd(draw: Draw) -> Case:
    """Different rows, replaced or added to."""
    size = draw(st.integers(2, 4))
    places = np.array(draw(st.permutations(range(size)))[:2], INT)[:, None]
    mode = {"reduction": "add"} if draw(st.booleans()) else {}
    return Case("ScatterND", [values(draw, (size, 3)), places, values(draw, (2, 3))], mode, trained=(0, 2))


def top(draw: Draw) -> Case:
    """The largest along an axis."""
    shape = (*draw(shapes), 4)
    return Case("TopK", [values(draw, shape), integers(2)], {"axis": -1}, outputs=2)


LAYOUT: dict[str, list[Make]] = {
    "Concat": [concat],
    "Expand": [expand],
    "Flatten": [unary("Flatten")],
    "Gather": [gather],
    "GatherElements": [gather_elements],
    "Pad": [pad],
    "Reshape": [reshape],
    "ScatterElements": [scatter_elements],
    "ScatterND": [scatter_nd],
    "Slice": [slices],
    "Split": [split],
    "Squeeze": [squeeze],
    "Tile": [tile],
    "TopK": [top],
    "Transpose": [transpose],
    "Trilu": [trilu],
    "Unsqueeze": [unsqueeze],
}
