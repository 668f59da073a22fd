"""Computes the blocks of examples with the prefix graph.

A causal model reads the prefix alone. A masked one reads the whole row, because its text sees the mask as well; the
keys and values of the suffix, which it computes on the way, are dropped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
import onnxruntime

from seedtune.runtime.bundle.manifest import Manifest
from seedtune.runtime.data.batches import Example, Integers, grouped, padded
from seedtune.runtime.prefix.blocks import Block

# Tokens of a call; bounds memory, together with what a call returns: this many tokens' keys and values.
TOKENS_PER_CALL = 512
RETURNED_BYTES = 32 << 20


class PrefixMaker:
    """See the module docstring."""

    def __init__(self, session: onnxruntime.InferenceSession, manifest: Manifest) -> None:
        assert manifest.prefix is not None
        self._session = session
        self._causal = manifest.model.family == "causal"
        self._padding_id = manifest.model.padding_id
        self._names = [output.name for output in session.get_outputs()]
        self._limit = max(1, min(TOKENS_PER_CALL, RETURNED_BYTES // manifest.prefix.bytes_per_token))

    def make(self, examples: Sequence[Example]) -> Iterator[tuple[int, Block]]:
        """The place and the block of each example with a prefix, those of similar length together."""
        read = [read_ids(example, self._causal) for example in examples]
        places = [place for place, example in enumerate(examples) if len(prefix_places(example))]
        for group in grouped([(len(read[place]),) for place in places], (self._limit,)):
            chosen = [places[item] for item in group]
            ids, mask = padded([read[place] for place in chosen], self._padding_id)
            arrays = dict(zip(self._names, self._session.run(self._names, {"ids": ids, "mask": mask}), strict=True))
            for row, place in enumerate(chosen):
                kept = prefix_places(examples[place])
                yield place, {name: array[:, row][:, :, kept] for name, array in arrays.items()}


def prefix_places(example: Example) -> Integers:
    """The places of the tokens that are not in the suffix, ascending, [P] int64."""
    assert example.suffix is not None
    return np.setdiff1d(np.arange(len(example.ids)), example.suffix)


def read_ids(example: Example, causal: bool) -> Integers:
    """The tokens that the prefix graph reads for ``example``."""
    # Of a causal row the suffix follows the prefix; of a masked one it may stand anywhere.
    return example.ids[prefix_places(example)] if causal else example.ids


def prefix_key(example: Example, causal: bool) -> bytes:
    """SHA-256 of all that the block of ``example`` depends on besides the bundle: tokens read, and places kept."""
    digest = hashlib.sha256()
    for part in (read_ids(example, causal), prefix_places(example)):
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part.astype("<i8").tobytes())
    return digest.digest()
