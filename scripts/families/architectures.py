"""The architectures of the installed transformers that have a causal or a masked language-model head."""

from __future__ import annotations

from dataclasses import dataclass

from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
)

from seedtune.runtime.task.structure import Family


@dataclass(frozen=True)
class Architecture:
    """One head of one model type; ``name`` is its class in transformers."""

    family: Family
    model_type: str
    name: str

    @property
    def key(self) -> str:
        """What it is called on the command line."""
        return f"{self.family}:{self.model_type}"


def architectures() -> list[Architecture]:
    """All of them, by family and type."""
    mappings: tuple[tuple[Family, dict[str, str]], ...] = (
        ("causal", dict(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)),
        ("masked", dict(MODEL_FOR_MASKED_LM_MAPPING_NAMES)),
    )
    return [Architecture(family, *item) for family, mapping in mappings for item in sorted(mapping.items())]
