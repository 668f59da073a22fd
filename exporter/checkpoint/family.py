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
# How transformers' configurations spell the number of experts that a router chooses from.
EXPERT_COUNTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")


def family_of(config: PretrainedConfig, source: str) -> Family:
    """The family of a model.

    1. Encoder-decoders, models with other senses than text, mixtures of experts, and types outside both mappings
       are refused.
    2. A type in one mapping only belongs to it.
    3. A type in both (BERT, RoBERTa) follows its architecture's name; when that says nothing, or both mappings have
       the same class (XLM), it is masked, unless the configuration is a decoder or asks for causal attention.

    Raises:
        SeedTuneError: in case 1, and for a BERT-like causal model whose attention is not causal.
    """
    kind = config.model_type
    if getattr(config, "is_encoder_decoder", False):
        raise _refusal("this is an encoder-decoder model", kind, source)
    for sense in OTHER_SENSES:
        if getattr(config, sense, None) is not None:
            raise _refusal(f"this model reads more than text (it has a {sense})", kind, source)
    if experts := experts_of(config):
        raise mixture_of_experts(experts, kind, source)
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
    looks_back = getattr(config, "is_decoder", False) or getattr(config, "causal", False)
    return "causal" if looks_back else "masked"


def experts_of(config: PretrainedConfig) -> int:
    """How many experts a layer of the model chooses from; 0 for a model without a router."""
    if getattr(config, "is_moe", True) is False:
        return 0
    declared = config.to_dict()
    # DBRX keeps its numbers in a configuration of their own.
    inner = declared.get("ffn_config")
    counts = [found.get(name) for found in (declared, inner) if isinstance(found, dict) for name in EXPERT_COUNTS]
    return max((count for count in counts if isinstance(count, int)), default=0)


def mixture_of_experts(experts: int, kind: str, source: str) -> SeedTuneError:
    """The refusal of a model whose layers choose among ``experts`` experts."""
    return SeedTuneError(
        "this is a mixture of experts, whose layers compute other weights for every token",
        file=source,
        value=f"{kind}, {experts} experts",
        rule="every token goes through the same weights",
        remedy="choose a dense model; the embedded default is smollm2-135m-instruct",
    )


def _family_by_name(config: PretrainedConfig) -> Family | None:
    kind = config.model_type
    either = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(kind) == MODEL_FOR_MASKED_LM_MAPPING_NAMES.get(kind)
    for name in config.architectures or ():
        # XLMWithLMHeadModel is the masked model and the causal one.
        if either and name == MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(kind):
            return None
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
