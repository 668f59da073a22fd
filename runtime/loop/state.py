"""The trainable state: one flat float32 vector, changed in place by the update graph and by nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import onnxruntime

# Steps per call of the update graph, whose noise words are made at once: 2 MB for half a million parameters.
STEPS_PER_CALL = 32


class State:
    """``values`` [n] float32, zero at the start.

    Zero means the untouched model: every target adds ``B A x`` with B = 0.
    """

    def __init__(self, session: onnxruntime.InferenceSession, parameters: int) -> None:
        self.session = session
        self.values: npt.NDArray[np.float32] = np.zeros(parameters, np.float32)

    def apply(self, seeds: Sequence[int] | npt.NDArray[np.uint32], coefficients: npt.ArrayLike) -> None:
        """``values <- fl(values + c_k z_k)`` for each step k, in order; any number of steps.

        Args:
            seeds: [K] the noise seeds.
            coefficients: [K] float32.
        """
        all_seeds = np.asarray(seeds, np.int64)
        all_coefficients = np.asarray(coefficients, np.float32)
        for first in range(0, len(all_seeds), STEPS_PER_CALL):
            chosen = slice(first, first + STEPS_PER_CALL)
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
