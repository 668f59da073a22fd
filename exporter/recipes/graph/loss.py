"""InfoNCE over two views, with a weight a pair (GRACE: Zhu et al. 2020, equations 1 and 2, where all weights are 1).

    L_i = -log( e^(s_ii' / t) / ( e^(s_ii' / t) + sum_n w_in (e^(s_in' / t) + e^(s_in / t)) ) )

s is the cosine, i' the same node in the other view, and negatives n are looked at in both views; the mean over anchors
i and over both directions is the loss.
"""

from __future__ import annotations

import torch
from torch.nn import functional

Parts = tuple[torch.Tensor, ...]


def contrastive_loss(first: Parts, second: Parts, weights: torch.Tensor, temperature: float) -> torch.Tensor:
    """The loss, a scalar.

    Args:
        first: anchors [B, d] and negatives [M, d] in one view.
        second: the same nodes in the other.
        weights: w [B, M]; where M draws stand for all other nodes, times (N - 1) / M.
        temperature: t.
    """
    one, other = (tuple(functional.normalize(part) for part in view) for view in (first, second))
    # Cosines are at most 1: the exponential of their distance to it cannot overflow.
    together = ((one[0] * other[0]).sum(1) - 1) / temperature
    losses = []
    for anchors in (one[0], other[0]):
        apart = [((anchors @ view[1].T - 1) / temperature).exp() for view in (one, other)]
        losses.append(torch.log(together.exp() + (weights * (apart[0] + apart[1])).sum(1)) - together)
    return (losses[0] + losses[1]).mean() / 2
