"""The trainable state: float32 vectors, changed in place by the update graph."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import onnxruntime

from seedtune.runtime.graphs.replaying import apply_many
from seedtune.runtime.noise import BITS_PER_WORD

# Probes per call of the update graph, whose noise words are made at once: 2 MB for half a million parameters.
PROBES_PER_CALL = 32


class State:
    """``values`` float32, zero at the start: [n], or [G, n] with one state a group.

    Zero means the untouched model: every target adds ``B A x`` with B = 0.

    Args:
        session: over the update graph; that of groups has one more axis.
        parameters: n.
        groups: G; None for a graph without that axis, which is what a model has.
    """

    def __init__(self, session: onnxruntime.InferenceSession, parameters: int, groups: int | None = None) -> None:
        self.session = session
        self.groups = groups
        shape = (parameters,) if groups is None else (groups, parameters)
        self.values: npt.NDArray[np.float32] = np.zeros(shape, np.float32)

    def put(self, offset: int, values: npt.NDArray[np.float32]) -> None:
        """Sets the parameters from ``offset`` on to ``values``, before the first step."""
        self.values[offset : offset + len(values)] = values

    def zero_like(self) -> State:
        """Another state of the same shape, zero."""
        return State(self.session, self.values.shape[-1], self.groups)

    def copy(self) -> State:
        """Another state with the same values."""
        other = self.zero_like()
        other.values[:] = self.values
        return other

    def apply(self, seeds: Sequence[int] | npt.NDArray[np.uint32], coefficients: npt.ArrayLike) -> None:
        """``values <- fl(values + c_k z_k)`` for each probe k, in order; any number of probes.

        Args:
            seeds: [K] the noise seeds.
            coefficients: float32, [K, G], or [K] for one state.
        """
        all_seeds = np.asarray(seeds, np.int64)
        shape = (len(all_seeds),) if self.groups is None else (len(all_seeds), self.groups)
        all_coefficients = np.asarray(coefficients, np.float32).reshape(shape)
        if self.groups is None and len(all_seeds) > PROBES_PER_CALL and not self.values.size % BITS_PER_WORD:
            apply_many(self.values, all_seeds, all_coefficients)
            return
        for first in range(0, len(all_seeds), PROBES_PER_CALL):
            chosen = slice(first, first + PROBES_PER_CALL)
            self._call(all_seeds[chosen], all_coefficients[chosen])

    def _call(self, seeds: npt.NDArray[np.int64], coefficients: npt.NDArray[np.float32]) -> None:
        binding = self.session.io_binding()
        binding.bind_cpu_input("state", self.values)
        binding.bind_cpu_input("seeds", np.ascontiguousarray(seeds))
        binding.bind_cpu_input("coefficients", np.ascontiguousarray(coefficients))
        binding.bind_output("state_out", "cpu", 0, np.float32, list(self.values.shape), self.values.ctypes.data)
        self.session.run_with_iobinding(binding)

    def sha256(self) -> str:
        """SHA-256 of the little-endian float32 bytes."""
        return hashlib.sha256(self.values.astype("<f4", copy=False).tobytes()).hexdigest()
