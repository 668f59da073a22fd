"""Which kind of language model a configuration describes, or why it is none that SeedTune tunes."""

from __future__ import annotations

from transformers import PretrainedConfig
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
)

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.task.structure import Family

RULE = "a decoder-only (causal) or encoder-only (masked) language model that transformers implements"
# BertForPreTraining carries the masked head plus one that SeedTune has no use for.
MASKED_ENDINGS = ("ForMaskedLM", "ForPreTraining")
CAUSAL_ENDINGS = ("ForCausalLM", "LMHeadModel", "ModelWithLMHead")
OTHER_SENSES = ("vision_config", "audio_config", "speech_config")


def family_of(config: PretrainedConfig, source: str) -> Family:
    """The family of a model.

    1. Encoder-decoders, models with other senses than text, and types outside both mappings are refused.
    2. A type in one mapping only belongs to it.
    3. A type in both (BERT, RoBERTa) follows its architecture's name; when that says nothing it is masked,
       unless the configuration is a decoder.

    Raises:
        SeedTuneError: in case 1, and for a BERT-like causal model whose attention is not causal.
    """
    kind = config.model_type
    if getattr(config, "is_encoder_decoder", False):
        raise _refusal("this is an encoder-decoder model", kind, source)
    for sense in OTHER_SENSES:
        if getattr(config, sense, None) is not None:
            raise _refusal(f"this model reads more than text (it has a {sense})", kind, source)
    causal = kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    masked = kind in MODEL_FOR_MASKED_LM_MAPPING_NAMES
    if not causal and not masked:
        raise _refusal("this is not a language model that SeedTune can tune", kind, source)
    if causal != masked:
        return "causal" if causal else "masked"
    named = _family_by_name(config)
    if named == "causal" and not getattr(config, "is_decoder", False):
        # transformers would attend to the future and only log a warning.
        raise SeedTuneError(
            "the architecture is causal, but is_decoder is false, so its attention would see the future",
            file=source,
            value=config.architectures,
            rule=f"a causal {kind} has is_decoder true",
            remedy='set "is_decoder": true in config.json, or name the ForMaskedLM architecture',
        )
    if named is not None:
        return named
    return "causal" if getattr(config, "is_decoder", False) else "masked"


def _family_by_name(config: PretrainedConfig) -> Family | None:
    for name in config.architectures or ():
        if name.endswith(MASKED_ENDINGS):
            return "masked"
        if name.endswith(CAUSAL_ENDINGS):
            return "causal"
    return None


def _refusal(reason: str, kind: str, source: str) -> SeedTuneError:
    return SeedTuneError(
        reason,
        file=source,
        value=kind,
        rule=RULE,
        remedy="choose another model; the embedded default is smollm2-135m-instruct",
    )
