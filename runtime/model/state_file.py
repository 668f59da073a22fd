"""A state as a file of its own: ``state`` [n] float32 in a safetensors file, which says what bundle it belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.files import require_writable
from seedtune.runtime.graphs.state import State
from seedtune.runtime.vectors import read_described, read_vectors, sha256_of_vector, write_vectors

STATE = "state"
FORMAT, BUNDLE, STEPS, SHA256, ORIGIN = "format", "bundle_sha256", "steps", "state_sha256", "origin"
NAME = "seedtune-state"


@dataclass(frozen=True)
class MadeOf:
    """What a state file says of itself: the ``steps`` that made it, and the ``origin`` in words."""

    steps: int
    origin: str


def write_state(path: Path, bundle: Bundle, state: State, made_of: MadeOf) -> None:
    """Puts ``state`` of ``bundle`` durably into the new file ``path``, or replaces it.

    Raises:
        SeedTuneError: the file cannot be written.
    """
    require_writable(path)
    about = {
        FORMAT: NAME,
        BUNDLE: bundle.sha256,
        STEPS: str(made_of.steps),
        SHA256: state.sha256(),
        ORIGIN: made_of.origin,
    }
    write_vectors(path, {STATE: state.values}, about)


def read_state(path: Path, bundle: Bundle) -> tuple[npt.NDArray[np.float32], MadeOf]:
    """The state in the file ``path``, [n] float32.

    Raises:
        SeedTuneError: the file is missing, damaged or altered, or belongs to another bundle.
    """
    # Whose it is comes first: a state of another bundle has another length as well.
    about = read_described(path, (), 0)[1]
    if about.get(BUNDLE) != bundle.sha256:
        raise SeedTuneError(
            "the state belongs to another bundle",
            file=path,
            value=about.get(BUNDLE),
            rule=f"manifest SHA-256 {bundle.sha256}, that of {bundle.path}",
            remedy="give the bundle that it was tuned in",
        )
    values = read_vectors(path, (STATE,), bundle.manifest.state.parameters)[STATE]
    sha256 = sha256_of_vector(values).hex()
    if about.get(SHA256) != sha256 or not np.isfinite(values).all():
        raise SeedTuneError(
            "the state has been altered",
            file=path,
            value=sha256,
            rule=f"SHA-256 {about.get(SHA256)}, and finite numbers",
            remedy="restore the file from a copy, or replay the journal again",
        )
    steps = about.get(STEPS, "0")
    return values, MadeOf(int(steps) if steps.isascii() and steps.isdigit() else 0, about.get(ORIGIN, ""))
