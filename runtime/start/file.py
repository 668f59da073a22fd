"""The start of a run on disk: ``start.safetensors``, the head that a run begins with, known by its SHA-256.

A safetensors file (github.com/huggingface/safetensors, "Format") of three float32 tensors, ``weight`` [L, H], ``bias``
[L] and ``scale`` [1], in this order and without gaps, so that its data are the head's values as the state has them.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seedtune.runtime.bundle.manifest import Head
from seedtune.runtime.decoding import read_plain_file
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.start.linear_probe import Probe
from seedtune.runtime.vectors import encode_tensors

REMEDY = "restore the folder from a copy, or start a new run"

Floats = npt.NDArray[np.float32]


def encode_start(probe: Probe, head: Head) -> bytes:
    """The bytes of the file."""
    about = {"strength": probe.strength, "rows": probe.rows, "accuracy": probe.accuracy, "loss": probe.loss}
    weight, bias, scale = np.split(probe.values, np.cumsum([head.labels * head.features, head.labels]))
    tensors = {"weight": weight.reshape(head.labels, head.features), "bias": bias, "scale": scale}
    return encode_tensors(tensors, {name: repr(value) for name, value in about.items()})


def sha256_of_start(raw: bytes) -> str:
    """What run.json and the journal know the file by."""
    return hashlib.sha256(raw).hexdigest()


def read_start(path: Path, sha256: str, head: Head | None) -> Floats:
    """The head's values, [L H + L + 1].

    Args:
        path: of the file.
        sha256: that it must have.
        head: of the bundle; None for one without.

    Raises:
        SeedTuneError: it is missing or altered, or the bundle has no such head.
    """
    if not path.exists():
        raise SeedTuneError(
            "the start of the run is missing: its state is start and journal together",
            file=path,
            rule=f"a file with SHA-256 {sha256}",
            remedy=REMEDY,
        )
    raw = read_plain_file(path, "the start of the run", REMEDY)
    found = sha256_of_start(raw)
    if found != sha256:
        raise SeedTuneError(
            "the start of the run has been altered", file=path, value=found, rule=f"SHA-256 {sha256}", remedy=REMEDY
        )
    # What follows the header is what the hash vouches for; whether it fits is a question to the bundle.
    size = 0 if head is None else 4 * head.parameters
    if head is None or len(raw) != 8 + int.from_bytes(raw[:8], "little") + size:
        raise SeedTuneError(
            "the start of the run is that of another bundle",
            file=path,
            value=f"{len(raw):,} bytes",
            rule="no head" if head is None else f"{head.labels} labels of {head.features} features",
            remedy=REMEDY,
        )
    return np.frombuffer(raw, "<f4", head.parameters, len(raw) - size).astype(np.float32)
