"""A first-order step in onnxruntime-training 1.19.2: forward, backward and AdamW on LoRA terms of the same targets."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from contenders.training_import import import_training

import_training()
import onnxruntime  # noqa: E402 - after the stand-in for its training package
from onnxruntime.training import api  # noqa: E402

LEARNING_RATE = 1e-4


def prepare(options: dict[str, Any]) -> Callable[[], dict[str, float]]:
    """Options: plain (folder with the files of `training_artifacts.py`), rows (npz), threads."""
    rows = {name: np.ascontiguousarray(array) for name, array in np.load(Path(options["rows"]).resolve()).items()}
    os.chdir(options["plain"])
    settings = onnxruntime.SessionOptions()
    if options["threads"]:
        settings.intra_op_num_threads = options["threads"]
    # As in `runtime/graphs/session.py`: a packed weight would be a copy of a mapped one.
    settings.add_session_config_entry("session.disable_prepacking", "1")
    state = api.CheckpointState.load_checkpoint("checkpoint")
    module = api.Module("training_model.onnx", state, "eval_model.onnx", session_options=settings)
    optimizer = api.Optimizer("optimizer_model.onnx", module)
    optimizer.set_learning_rate(LEARNING_RATE)
    feeds = [rows[name] for name in ("ids", "mask", "position")] + [rows["label"]]

    def step() -> dict[str, float]:
        module.train()
        loss = module(*feeds)
        optimizer.step()
        module.lazy_reset_grad()
        return {"loss": float(np.ravel(loss)[0])}

    return step
