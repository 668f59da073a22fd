"""A torch module that scores images, as the ONNX file that a scan takes; compared with the module before it is kept."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from seedtune.exporter.passes.emitter import OPSET
from seedtune.exporter.trace.tracing import quiet
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.files import require_writable, write_durably

IMAGES = 3
# Relative to the largest score, in float32.
ALLOWED = 1e-4


def export_torch_classifier(
    module: torch.nn.Module, image_shape: tuple[int, ...], out: Path, outputs: Sequence[str] = ("scores",)
) -> None:
    """Writes ``module`` to ``out``.

    Args:
        module: images [N, *image_shape], float32, to scores [N, L], or to as many such arrays as there are ``outputs``.
            It is put into evaluation mode, and left in it.
        image_shape: of one image, such as (1, 28, 28).
        out: the file to write.
        outputs: their names.

    Raises:
        SeedTuneError: torch cannot follow the module, ONNX Runtime computes other scores, or the file cannot be
            written; ``out`` is then as it was.
    """
    require_writable(out)
    module.eval()
    images = torch.rand((IMAGES, *image_shape), generator=torch.Generator().manual_seed(0))
    with tempfile.TemporaryDirectory() as folder, torch.no_grad(), quiet():
        path = Path(folder) / "classifier.onnx"
        try:
            told = module(images)
            expected = [each.numpy() for each in (told if isinstance(told, tuple) else (told,))]
            torch.onnx.export(
                module,
                (images,),
                path,
                dynamo=True,
                external_data=False,
                verbose=False,
                input_names=["pixels"],
                output_names=list(outputs),
                opset_version=OPSET,
                dynamic_shapes=({0: torch.export.Dim("images")},),
            )
        except Exception as error:
            raise SeedTuneError(
                f"{type(module).__name__} cannot be exported",
                value=f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:300],
                rule=f"a module of float32 images [N, {', '.join(map(str, image_shape))}] that torch.export follows",
                remedy="look at the shape; or export it yourself, with a free first dimension",
            ) from error
        # Another number of images than it was traced with: the first dimension has to be free.
        found = onnxruntime.InferenceSession(str(path)).run(None, {"pixels": images[:1].numpy()})
        apart = max(map(_apart, found, expected))
        if any(each.ndim != 2 for each in found) or not apart <= ALLOWED:
            raise SeedTuneError(
                "ONNX Runtime gives other scores than the module",
                value=f"{apart:.1e} of the largest, shape {found[0].shape}",
                rule=f"at most {ALLOWED:g}, a row of scores an image",
                remedy="is it a classifier, and the same for the same image?",
            )
        write_durably(out, path.read_bytes())


def _apart(found: np.ndarray, expected: np.ndarray) -> float:
    """Of the first image, relative to the largest value of all."""
    return float(np.abs(found - expected[:1]).max() / max(1e-30, np.abs(expected).max()))
