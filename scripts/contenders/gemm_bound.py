"""The least time that the step's linears can take here: measured GEMM rates times the step's multiply-adds.

Every distinct shape of linear is measured by itself, as float32 Gemm in ONNX Runtime with the runtime's settings and
the step's token rows (both sides). The time of the whole step is the sum over the model's linears. It is a lower bound
for float32: the operands of one shape stay in the processor's caches as those of a whole model do not.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from seedtune.runtime.graphs.session import open_session

REPEATS = 3
OPSET, IR_VERSION = 21, 10


def prepare(options: dict[str, Any]) -> Callable[[], dict[str, float]]:
    """Options: plain (folder of `plain_graph.py`), token_rows (of both sides), threads."""
    rows = options["token_rows"]
    linears = json.loads((Path(options["plain"]) / "linears.json").read_text())
    counts = Counter((linear["out_features"], linear["in_features"]) for linear in linears)
    session = _session(options["threads"])
    generator = np.random.default_rng(0)
    operands = {
        (outputs, inputs): {
            "x": generator.standard_normal((rows, inputs), np.float32),
            "w": generator.standard_normal((outputs, inputs), np.float32),
        }
        for outputs, inputs in counts
    }
    multiply_adds = sum(rows * outputs * inputs * count for (outputs, inputs), count in counts.items())

    def step() -> dict[str, float]:
        seconds = 0.0
        for shape, count in counts.items():
            taken = []
            for _ in range(REPEATS):
                started = time.perf_counter()
                session.run(None, operands[shape])
                taken.append(time.perf_counter() - started)
            seconds += count * min(taken)
        return {
            "milliseconds": seconds * 1e3,
            "multiply_adds": multiply_adds,
            "gflops": 2 * multiply_adds / seconds / 1e9,
        }

    return step


def _session(threads: int | None) -> Any:
    """A session of one Gemm whose weight is an input, [o, i], so that nothing is packed ahead of time."""
    values = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, None]) for name in ("x", "w", "y")}
    node = helper.make_node("Gemm", ["x", "w"], ["y"], transB=1)
    graph = helper.make_graph([node], "gemm", [values["x"], values["w"]], [values["y"]])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gemm.onnx"
        onnx.save(model, path)
        return open_session(path, threads)
