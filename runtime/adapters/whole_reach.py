"""Whether a state is a change of weights: only then can a file of weights be the tuned model."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from seedtune.runtime.bundle.manifest import Manifest
from seedtune.runtime.errors import SeedTuneError


def require_whole_reach(manifest: Manifest, form: str) -> None:
    """Raises SeedTuneError unless the state acts at every token; ``form`` is what was asked for, for the message."""
    scope = manifest.language_model.scope
    if scope != "all":
        raise SeedTuneError(
            f"{form} acts at every token, and this state does not: it would be another model, without saying so",
            value=f"scope {scope}",
            rule="scope all",
            remedy="use seedtune merge --format onnx for a classifier, wrap transformers' own model "
            "(docs/guides/python.md), or tune a bundle that was exported with --scope all",
        )


def require_no_head(manifest: Manifest, state: npt.NDArray[np.float32], form: str, without_head: bool) -> None:
    """Raises SeedTuneError where the head of ``state`` changes the scores of label words, and is not to be left out.

    Args:
        manifest: of the bundle.
        state: [n].
        form: what was asked for, for the message.
        without_head: leave the head out all the same.
    """
    head = manifest.state.head
    if head is None or without_head or not state[head.offset : head.offset + head.parameters].any():
        return
    raise SeedTuneError(
        f"{form} has no place for the head of the state, which changes the scores of the label words",
        value=f"a head of {head.labels} labels",
        rule="a state without a head, or one that is zero",
        remedy="use --without-head: logits are then those of the low-rank state alone, and labels are read worse",
    )
