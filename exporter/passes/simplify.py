"""Folds the shape arithmetic that tracing leaves behind; never touches a parameter.

Parameters carry no value while passes run (see `trunk.py`), so nothing computed from one can be folded here. Size
limits keep positional tables and masks from being materialised.
"""

from __future__ import annotations

import logging

import onnx_ir as ir
import onnxscript.optimizer
from onnx_ir.passes import common

# Elements. Large enough for shape vectors, far below any table that is cheaper to compute than to store.
FOLD_LIMIT = 1024


def simplify(model: ir.Model) -> ir.Model:
    """``model`` with constants folded, common subexpressions shared and unused nodes removed."""
    # These passes warn about every parameter for having no value, which is what protects it.
    for name in ("onnxscript.optimizer", "onnx_ir"):
        logging.getLogger(name).setLevel(logging.ERROR)
    common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
    onnxscript.optimizer.fold_constants(model, input_size_limit=FOLD_LIMIT, output_size_limit=FOLD_LIMIT)
    common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
    common.DeduplicateInitializersPass(size_limit=FOLD_LIMIT)(model)
    common.IdentityEliminationPass()(model)
    common.CommonSubexpressionEliminationPass()(model)
    common.RemoveUnusedNodesPass()(model)
    return model
