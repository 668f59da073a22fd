"""What was tuned as a torch module over transformers' own model, whatever the reach of its state."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from seedtune._model import open as open_model
from seedtune.runtime.extras import needs_extra

if TYPE_CHECKING:
    from seedtune.exporter.reference.tuned_model import TunedModel

__all__ = ["load"]


def load(
    path: str | Path,
    *,
    bundle: str | Path | None = None,
    step: int | None = None,
    state: str | Path | None = None,
    source: str | Path | None = None,
) -> TunedModel:
    """The tuned model of a RUN folder, or of a bundle, in float32.

    Args:
        path: either folder.
        bundle: where the run's bundle is now, if it was moved.
        step: the state after that many steps instead of the best.
        state: a file with the state, beside a bundle.
        source: where the base model is, if not where the bundle was exported from.

    Raises:
        SeedTuneError: no such folder, step or model, or the extra ``export`` is not installed.
    """
    with needs_extra("export", "transformers' model needs"):
        from seedtune.exporter.reference.tuned_model import TunedModel
    with open_model(path, bundle=bundle, step=step, state=state) as model:
        where = None if source is None else str(source)
        return TunedModel(model.bundle, model.state.values.copy(), where)
