"""Traces that tests of this process have made before: torch takes seconds for each, and always the same graph comes.

What a trace depends on is in its key: transformers' configuration and modules, the wrapper around them, the example,
and how long rows may be. Refusals are not kept. `test_trace_memo.py` holds that a graph from here is what a new trace
gives.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable
from typing import Any

TRACING = "seedtune.exporter.trace"
# Where `tracing.export_graph` is called.
CALLERS = ("suffix_trunk", "trunk")


class TraceMemo:
    """Stands in for `tracing.export_graph`."""

    def __init__(self) -> None:
        self._traces: dict[str, Any] = {}
        self.found = 0

    def install(self) -> None:
        """Puts itself between the callers and the real one, once."""
        export_graph = importlib.import_module(f"{TRACING}.tracing").export_graph

        def remembered(*arguments: Any) -> Any:
            return self._remembered(export_graph, *arguments)

        for name in CALLERS:
            caller = importlib.import_module(f"{TRACING}.{name}")
            if caller.export_graph is export_graph:
                caller.export_graph = remembered  # type: ignore[attr-defined]

    def _remembered(
        self, export_graph: Callable[..., Any], wrapper: Any, example: tuple[Any, ...], *others: Any
    ) -> Any:
        key = key_of(wrapper, example, others)
        if key in self._traces:
            self.found += 1
        else:
            self._traces[key] = export_graph(wrapper, example, *others)
        # Whoever is given a graph changes it.
        traced = self._traces[key].clone()
        traced.meta.update(self._traces[key].meta)
        return traced


def key_of(wrapper: Any, example: tuple[Any, ...], others: tuple[Any, ...]) -> str:
    """Of everything that a trace depends on; values of parameters are never read."""
    own = {name: value for name, value in vars(wrapper).items() if isinstance(value, int | str | bool | dict | None)}
    plain = {name: repr(value) for name, value in own.items() if not name.startswith("_")}
    tensors = [(tuple(one.shape), str(one.dtype), one.numpy().tobytes()) for one in example]
    model = wrapper.model
    parts = (
        type(wrapper).__qualname__, plain, type(model).__qualname__, model.config.to_json_string(use_diff=False),
        model.config._attn_implementation, str(model), [str(one.dtype) for one in model.parameters()], tensors, others,
    )  # fmt: skip
    return hashlib.sha256(repr(parts).encode()).hexdigest()
