"""The decode graph at work: tokens go in behind those that were read before, the next token's logits come out.

Keys and values of what was read are kept in memory of a size that grows by parts, so that a token costs neither a copy
of them nor a product with much that is empty.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import onnxruntime

from seedtune.runtime.bundle.objective import DECODE, Decoding
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.graphs.session import open_session

# Tokens of a prompt that are read at once: a layer's activations stay a few megabytes, and 8-bit products fast.
CHUNK_TOKENS = 128
# Tokens by which the kept memory grows.
GROWTH_TOKENS = 64

Floats = npt.NDArray[np.float32]


class Past:
    """Keys and values of the ``length`` tokens of one text that were read, [layers, 1, key heads, capacity, head size].

    What lies behind ``length`` is not looked at by the graph.
    """

    def __init__(self, layout: Decoding) -> None:
        self.layout = layout
        self.length = 0
        self.keys = self._room(GROWTH_TOKENS)
        self.values = self._room(GROWTH_TOKENS)

    def append(self, keys: Floats, values: Floats) -> None:
        """Takes those of the tokens that come next, [layers, 1, key heads, S, head size]."""
        end = self.length + keys.shape[3]
        if end > self.keys.shape[3]:
            capacity = -(-end // GROWTH_TOKENS) * GROWTH_TOKENS
            self.keys, self.values = (self._grown(kept, capacity) for kept in (self.keys, self.values))
        self.keys[:, :, :, self.length : end] = keys
        self.values[:, :, :, self.length : end] = values
        self.length = end

    def cut(self, length: int) -> None:
        """Forgets all tokens behind the first ``length``."""
        self.length = min(self.length, length)

    def _room(self, capacity: int) -> Floats:
        sizes = self.layout
        return np.zeros((sizes.layers, 1, sizes.key_heads, capacity, sizes.head_size), np.float32)

    def _grown(self, kept: Floats, capacity: int) -> Floats:
        grown = self._room(capacity)
        grown[:, :, :, : self.length] = kept[:, :, :, : self.length]
        return grown


class Decoder:
    """A decode graph, ready to run; one thread at a time may use it.

    Args:
        session: over the graph.
        layout: what the manifest says of it.
        parameters: n, values of the state.
    """

    def __init__(self, session: onnxruntime.InferenceSession, layout: Decoding, parameters: int) -> None:
        self.layout = layout
        self.session = session
        self.untouched = np.zeros(parameters, np.float32)

    @classmethod
    def open(cls, bundle: Bundle, threads: int | None = None) -> Decoder:
        """That of ``bundle``; ``threads`` of ONNX Runtime, None for all processors.

        Raises:
            SeedTuneError: the bundle has no decode graph, or it is not here.
        """
        path = bundle.graph_path(DECODE)
        layout = bundle.manifest.language_model.decode
        assert layout is not None
        return cls(open_session(path, threads), layout, bundle.manifest.state.parameters)

    def begin(self) -> Past:
        """A past of no token."""
        return Past(self.layout)

    def read(self, past: Past, ids: Sequence[int], state: Floats | None) -> Floats:
        """Reads ``ids`` (one at least) behind ``past``, which has them afterwards.

        Args:
            past: changed in place.
            ids: the tokens that come next.
            state: what acts at each of them, [n]; None for the untouched model.

        Returns:
            The logits [V] of the token that follows the last of ``ids``.
        """
        shared = self.untouched if state is None else state
        logits = np.empty(0, np.float32)
        for first in range(0, len(ids), CHUNK_TOKENS):
            chunk = np.array([ids[first : first + CHUNK_TOKENS]], np.int64)
            tokens = chunk.shape[1]
            feeds = {
                "ids": chunk,
                "mask": np.ones_like(chunk),
                "positions": np.arange(past.length, past.length + tokens)[None],
                "position": np.array([tokens - 1]),
                "context_length": np.array([past.length]),
                "keys": past.keys,
                "values": past.values,
                "state": shared,
            }
            found, keys, values = self.session.run(["logits", "new_keys", "new_values"], feeds)
            past.append(keys, values)
            logits = found[0]
        return logits
