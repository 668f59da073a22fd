"""`seedtune.adapter`: what was tuned as an adapter that other tools load beside the model."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from seedtune._model import Model
from seedtune.runtime.adapters.peft_files import write_peft_adapter
from seedtune.runtime.adapters.whole_reach import require_no_head, require_whole_reach
from seedtune.runtime.extras import needs_extra

FORM = "an adapter of llama.cpp"


def adapter(
    model: Model,
    *,
    out: str | Path,
    form: Literal["peft", "gguf-lora"] = "peft",
    source: str | Path | None = None,
    without_head: bool = False,
) -> int:
    """Writes an adapter of a state that acts at every token (scope "all").

    Args:
        model: as :func:`open` gives it.
        out: the new folder of "peft", or the file of "gguf-lora".
        form: "peft" for a folder that ``peft.PeftModel.from_pretrained`` loads; "gguf-lora" for a file that llama.cpp
            loads beside the base model in GGUF.
        source: "gguf-lora": where the base model is, if not where the bundle was exported from; its number of heads
            is read there.
        without_head: leave out the head that scores the label words, which an adapter cannot say.

    Returns:
        The bytes of its weights.

    Raises:
        SeedTuneError: ``form`` cannot say the state, the base model is not there, or another one is, ``out`` cannot be
            made, or the extra ``export`` is not installed ("gguf-lora").
    """
    manifest, state = model.bundle.manifest, model.state.values
    if form == "peft":
        return write_peft_adapter(Path(out), manifest, state, without_head=without_head)
    require_whole_reach(manifest, FORM)
    require_no_head(manifest, state, FORM, without_head)
    with needs_extra("export", "an adapter of llama.cpp needs"):
        from seedtune.exporter.merging.gguf_adapter import write_gguf_adapter
    return write_gguf_adapter(Path(out), manifest, state, None if source is None else str(source))
