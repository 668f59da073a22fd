"""tokenizer.json of every model, in a manifest that lists it as it is: up to the tokens of rows."""

from __future__ import annotations

import json
import random
from typing import Any

from tokenizers import Tokenizer

from fuzz import made_up
from fuzz.blind import mutated_bytes
from fuzz.target import Files, Target, WrongError, require_equal
from fuzz.trees import mutated_tree
from fuzz.values import RAW_JSON, encoded, pairs_of, to_json
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.data.rows import Row
from seedtune.runtime.model.splits import encode_rows

TOKENIZER, MANIFEST = "tokenizer.json", "manifest.json"
TEXTS = ("a good film", "", "bad  bad 123 éß看 \u200b", "x" * 300)


class TokenizerTarget(Target):
    """See the module docstring."""

    name = "tokenizer"

    def make(self) -> dict[str, bytes]:
        """A whole bundle with byte pairs; those with other models beside it."""
        self._bundles = [made_up.bundle(name) for name in made_up.TOKENIZERS]
        return self._bundles[0]

    def mutated(self, generator: random.Random) -> Files:
        """See the module docstring."""
        files = generator.choice(self._bundles)
        raw = files[TOKENIZER]
        if generator.random() < 0.15:
            changed = mutated_bytes(generator, raw)
        else:
            changed = encoded(to_json(self._tree(generator, json.loads(raw))))
        sealed = made_up.sealed(json.loads(files[MANIFEST]), files | {TOKENIZER: changed})
        return {TOKENIZER: changed, MANIFEST: json.dumps(sealed).encode()}

    def _tree(self, generator: random.Random, value: dict[str, Any]) -> Any:
        # Nearly all places are in the vocabulary.
        part = generator.choice(("whole", "model", "vocab", "added_tokens", "post_processor", "pre_tokenizer", "rest"))
        if part == "whole":
            return mutated_tree(generator, value, RAW_JSON)
        tree = pairs_of(value)
        if part in ("model", "vocab"):
            vocabulary = value["model"].pop("vocab")
            merges = value["model"].pop("merges", None)
            if part == "vocab":
                vocabulary = mutated_tree(generator, vocabulary, RAW_JSON)
                rest = pairs_of(value["model"])
            else:
                rest = mutated_tree(generator, value["model"], RAW_JSON)
            if isinstance(rest, list):
                rest += [("vocab", pairs_of(vocabulary))] + ([] if merges is None else [("merges", pairs_of(merges))])
            changed = rest
            place = "model"
        elif part == "rest":
            place = generator.choice([name for name, _ in tree if name not in ("model", "added_tokens")])
            changed = mutated_tree(generator, value[place], RAW_JSON)
        else:
            place = part
            changed = mutated_tree(generator, value[place], RAW_JSON)
        tree[:] = [(name, changed if name == place else item) for name, item in tree]
        return tree

    def read(self) -> None:
        """Encodes rows; apart from special tokens, their ids must be the tokenizer's own, and the model's."""
        bundle = Bundle.open(self.folder)
        compiled = bundle.compiled_task()
        plain = Tokenizer.from_str((self.folder / TOKENIZER).read_text("utf-8"))
        plain.no_truncation()
        plain.no_padding()
        plain.encode_special_tokens = True
        rows = [Row({"text": text}, place, 0) for place, text in enumerate(TEXTS, 1)]
        said: dict[str, list[int]] = {}
        self.said = said
        for text, example in zip(TEXTS, encode_rows(rows, compiled, str(self.folder / "rows.jsonl")), strict=True):
            # A task that knows how many rows the embedding has refuses what lies behind them.
            most = getattr(compiled, "vocabulary_size", 2**63)
            if example.ids.min() < 0 or example.ids.max() >= most:
                raise WrongError(f"ids {example.ids} of a model of {most} tokens")
            require_equal(
                0 <= example.position < len(example.ids) <= compiled.task.max_tokens, True, "the row's length"
            )
            said[text] = example.ids.tolist()
            if example.truncated_tokens == 0:
                row = compiled.task.template.replace("{text}", text)
                expected = plain.encode(row).ids[: len(example.ids)]
                require_equal(example.ids.tolist(), expected, f"ids of {row!r}")
