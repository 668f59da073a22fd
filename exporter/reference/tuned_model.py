"""A bundle's state on transformers' own model, with the task's rows; `seedtune.integrations.transformers` gives it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.utils.rnn import pad_sequence

from seedtune.exporter.checkpoint import open_checkpoint
from seedtune.exporter.reference.suffix_model import SuffixTunedModel
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.errors import SeedTuneError


@dataclass(frozen=True)
class EncodedRows:
    """Rows of a task as a model reads them, padded on the right.

    Attributes:
        input_ids: [B, T] int64.
        attention_mask: [B, T] int64, 1 for a token.
        reach: [B, T] bool, where the state acts.
        position: [B] int64, the token whose logits say the label word.
    """

    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    reach: torch.Tensor
    position: torch.Tensor


class TunedModel(SuffixTunedModel):
    """transformers' model with a state where its reach says; called with what :meth:`encode` gives.

    Args:
        bundle: verified.
        state: [n] float32.
        source: where the base model is, if not where the bundle was exported from.

    Raises:
        SeedTuneError: the base model is not there.
    """

    def __init__(self, bundle: Bundle, state: npt.NDArray[np.float32], source: str | None = None) -> None:
        objective = bundle.manifest.language_model
        base = open_checkpoint(source or objective.model.source).reference()
        super().__init__(base, objective.model.family, bundle.manifest.state, state, objective.label_word_ids)
        self.manifest = bundle.manifest
        self.task = bundle.compiled_task()

    def encode(self, rows: Iterable[Mapping[str, str]]) -> EncodedRows:
        """``rows``, the fields of the task's template each, as the bundle reads them.

        Raises:
            SeedTuneError: a field is missing, or a row cannot be read.
        """
        examples = [self.task.encode(row) for row in rows]
        ids = [torch.from_numpy(example.ids) for example in examples]
        padding = self.manifest.language_model.model.padding_id
        input_ids = pad_sequence(ids, batch_first=True, padding_value=float(padding))
        mask = pad_sequence([torch.ones_like(row) for row in ids], batch_first=True)
        reach = torch.zeros_like(input_ids, dtype=torch.bool)
        for place, example in enumerate(examples):
            reach[place, slice(None) if example.suffix is None else torch.from_numpy(example.suffix)] = True
        position = torch.tensor([example.position for example in examples])
        return EncodedRows(input_ids, mask, reach & mask.bool(), position)

    def label_probabilities(self, rows: EncodedRows) -> list[dict[str, float]]:
        """The probability of each label for each row, by the label's name, as the bundle predicts it.

        Raises:
            SeedTuneError: the task is completion, which has no labels.
        """
        labels = self.manifest.language_model.task.labels
        if not labels:
            raise SeedTuneError(
                "a completion task has no labels",
                value=self.manifest.language_model.task.name,
                rule="a classification task",
                remedy="use the logits",
            )
        with torch.no_grad():
            logits = self(rows.input_ids, rows.attention_mask, rows.reach)
        scores = logits[torch.arange(len(logits)), rows.position][:, list(self.manifest.language_model.label_word_ids)]
        names = [label.name for label in labels]
        return [dict(zip(names, row.tolist(), strict=True)) for row in torch.softmax(scores.float(), -1)]
