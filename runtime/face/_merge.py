"""`seedtune.merge`: the other place from which the exporter, and with it torch, is imported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from seedtune._model import Model
from seedtune.runtime.adapters.whole_reach import require_no_head, require_whole_reach
from seedtune.runtime.extras import needs_extra
from seedtune.runtime.sizes import size_bytes

FORM = "a checkpoint"


def merge(
    model: Model,
    *,
    out: str | Path,
    form: Literal["hf", "onnx"] = "hf",
    source: str | Path | None = None,
    without_head: bool = False,
    shard_size: int | str = "2G",
    phase: Callable[[str], None] = lambda _name: None,
) -> int:
    """Writes the whole tuned model into the new folder ``out``.

    Args:
        model: as :func:`open` gives it.
        out: the folder.
        form: "hf" for the base model's checkpoint with the state in its weights, of scope "all": weights keep their
            type and their names, and transformers opens the folder as it opens the base model's. "onnx" for one ONNX
            model of a classifier, whatever its scope: ``input_ids`` and ``attention_mask`` in, ``logits`` of labels
            out.
        source: where the base model is, if not where the bundle was exported from.
        without_head: "hf": leave out the head that scores the label words, which a checkpoint cannot say.
        shard_size: "hf": bytes of a file of weights, at most, such as 2_000_000_000 or "2G".
        phase: told the name of each phase as it starts.

    Returns:
        The bytes of the weights.

    Raises:
        SeedTuneError: ``form`` cannot say the state, the base model is not there, or another one is, the folder cannot
            be made, or the extra ``export`` is not installed.
    """
    manifest, state = model.bundle.manifest, model.state.values
    if form == "hf":
        require_whole_reach(manifest, FORM)
        require_no_head(manifest, state, FORM, without_head)
    limit = size_bytes(shard_size, "--shard-size")
    with needs_extra("export", "merging needs"):
        from seedtune.exporter.merging.merge import write_merged
        from seedtune.exporter.merging.onnx_model import write_onnx
    where = None if source is None else str(source)
    if form == "onnx":
        return write_onnx(Path(out), model.bundle, state, source=where, phase=phase)
    return write_merged(Path(out), manifest, state, source=where, shard_bytes=limit, phase=phase)
