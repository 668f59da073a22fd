"""InfoNCE over two views of all nodes, with a weight a pair (GRACE: Zhu et al. 2020, equations 1 and 2, where all are 1).

    L_i = -log( e^(s_ii' / t) / ( e^(s_ii' / t) + (N - 1) / M sum_n w_in (e^(s_in' / t) + e^(s_in / t)) ) )

s is the cosine, i' the same node in the other view, and negatives n are drawn from both views; the mean over nodes and
over both directions is the loss. (N - 1) / M makes M draws stand for all other nodes; where every node is a negative
it is 1.
"""

from __future__ import annotations

import torch
from torch.nn import functional


def contrastive_loss(
    first: torch.Tensor,
    second: torch.Tensor,
    negatives: torch.Tensor,
    weights: torch.Tensor,
    temperature: float,
    scale: float,
) -> torch.Tensor:
    """The loss, a scalar.

    Args:
        first: [N, d], the nodes in one view.
        second: [N, d], in the other.
        negatives: [M] int64.
        weights: w [N, M].
        temperature: t.
        scale: what a drawn negative stands for, such as (N - 1) / M.
    """
    one, other = functional.normalize(first), functional.normalize(second)
    together = (one * other).sum(1) / temperature
    losses = [
        _direction(here, there, together, negatives, weights * scale, temperature)
        for here, there in ((one, other), (other, one))
    ]
    return (losses[0] + losses[1]).mean() / 2


def _direction(
    here: torch.Tensor,
    there: torch.Tensor,
    together: torch.Tensor,
    negatives: torch.Tensor,
    weights: torch.Tensor,
    temperature: float,
) -> torch.Tensor:
    """[N]. Cosines are at most 1, so the exponential of their distance to it cannot overflow."""
    apart = sum((weights * ((here @ view[negatives].T - 1) / temperature).exp()).sum(1) for view in (here, there))
    own = (together - 1 / temperature).exp()
    return torch.log(own + apart) - (together - 1 / temperature)
