"""Whether the decode graph says what transformers says of the next token, plain and with a state at every token.

A row is read in two parts, so that what the second finds in the cache is compared as well.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from seedtune.exporter.reference.streamed_model import StreamedModel
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.generation.decoder import Decoder
from seedtune.runtime.task.example import Example

# Rows that are read.
ROWS = 2


def refuse_wrong_decoding(
    bundle: Bundle,
    reference: StreamedModel,
    rows: Sequence[Example],
    state: npt.NDArray[np.float32],
    allowed: float,
) -> None:
    """Compares log-probabilities of the token that follows each of the first rows.

    Args:
        bundle: with a decode graph.
        reference: transformers' model.
        rows: of random tokens.
        state: [n], not zero.
        allowed: the largest difference.

    Raises:
        SeedTuneError: they differ by more.
    """
    decoder, worst = Decoder.open(bundle), 0.0
    for acting in (None, state):
        reference.set_state(bundle.manifest.state, acting)
        for row in rows[:ROWS]:
            past, ids = decoder.begin(), row.ids.tolist()
            middle = len(ids) // 2
            if middle:
                decoder.read(past, ids[:middle], acting)
            found = torch.from_numpy(decoder.read(past, ids[middle:], acting))
            with torch.no_grad():
                whole = reference(input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids)).long()).logits
            difference = torch.log_softmax(found, -1) - torch.log_softmax(whole[0, -1].float(), -1)
            largest = float(difference.abs().max())
            worst = max(worst, largest if largest == largest else float("inf"))
    reference.set_state(bundle.manifest.state, None)
    if not worst <= allowed:
        raise SeedTuneError(
            "the decode graph does not say what transformers says of the next token; no bundle was written",
            value=f"log-probabilities differ by {worst:.3g}",
            rule=f"at most {allowed}",
            remedy="export with --no-decode, and report the model's name and this figure",
        )
