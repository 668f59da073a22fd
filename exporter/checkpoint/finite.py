"""Refuses weights that hold NaN or infinity: one of them would make every loss NaN, an hour later."""

from __future__ import annotations

import torch

from seedtune.runtime.errors import SeedTuneError


def check_finite(name: str, tensor: torch.Tensor, file: str) -> None:
    """Reads ``tensor`` (any shape) once, without a temporary copy.

    Raises:
        SeedTuneError: if a floating-point ``tensor`` holds NaN or infinity.
    """
    if not tensor.is_floating_point() or tensor.numel() == 0:
        return
    # The extremes carry NaN and infinity through; torch.isfinite would allocate a mask and a copy.
    low, high = torch.aminmax(tensor)
    if bool(torch.isfinite(low)) and bool(torch.isfinite(high)):
        return
    bad = int((~torch.isfinite(tensor)).sum())
    raise SeedTuneError(
        f"the weight {name} holds values that are not finite",
        file=file,
        value=f"{bad:,} of {tensor.numel():,} values are NaN or infinite",
        rule="every weight is a finite number",
        remedy="fetch the checkpoint again; if it is your own, its training diverged: use an earlier one",
    )
