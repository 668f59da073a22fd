"""Task files in TOML, for both families, compiled with a tokenizer and given a row."""

from __future__ import annotations

import random
import tomllib
from typing import Any

import msgspec

from fuzz import made_up
from fuzz.blind import mutated_bytes
from fuzz.target import ODD, Files, Target, require_equal
from fuzz.targets.bundle import task_as_written
from fuzz.trees import mutated_tree
from fuzz.values import RAW_TOML, Pairs, encoded, pairs_of, to_toml
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.data.rows import Row
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.model.splits import encode_rows
from seedtune.runtime.task.definition import load_task
from seedtune.runtime.task.structure import Family, Task

FILE, BUNDLE = "task.toml", "bundle"
FAMILIES: tuple[Family, ...] = ("causal", "masked")
CLASSIFICATION = {
    "name": "made-up",
    "kind": "classification",
    "template": made_up.TEMPLATE,
    "truncate": "text",
    "max_tokens": 48,
    "labels": [{"value": "0", "word": " bad", "name": "bad"}, {"value": "1", "word": " good"}],
    "masked": {"template": "{text} It was{mask}.", "words": {"1": " film"}},
}
COMPLETION = {
    "name": "answers",
    "kind": "completion",
    "template": "Question: {question}\nAnswer:",
    "response": " {answer}",
    "max_characters": 500,
}


class TaskTarget(Target):
    """See the module docstring."""

    name = "task"

    def make(self) -> dict[str, bytes]:
        """A classification task with a variant for masked models."""
        files = {f"{BUNDLE}/{name}": raw for name, raw in made_up.bundle().items()}
        return files | {FILE: to_toml(pairs_of(CLASSIFICATION)).encode()}

    def mutated(self, generator: random.Random) -> Files:
        """See the module docstring."""
        kind = generator.random()
        if kind < 0.01:
            return {FILE: generator.choice(ODD)}
        value: dict[str, Any] = generator.choice((CLASSIFICATION, CLASSIFICATION, COMPLETION))
        if kind < 0.3:
            return {FILE: mutated_bytes(generator, to_toml(pairs_of(value)).encode())}
        tree = mutated_tree(generator, value, RAW_TOML)
        return {FILE: encoded(to_toml(tree if isinstance(tree, Pairs) else Pairs([("name", tree)])))}

    def read(self) -> None:
        """Loads it, compares it with plain TOML, and asks both families."""
        path = self.folder / FILE
        task = load_task(str(path))
        written = tomllib.loads(path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n"))
        found = msgspec.to_builtins(task)
        expected = task_as_written({name: written.get(name, found[name]) for name in found})
        require_equal(found, expected, "task")
        require_equal(sorted(written.keys() - found.keys()), [], "what the task does not know")
        self._compile(task)

    def _compile(self, task: Task) -> None:
        """Puts it into a bundle of each family; whether words are tokens of some model is not for the file to say."""
        folder = self.folder / BUNDLE
        for family in FAMILIES:
            try:
                files = made_up.bundle(task=msgspec.to_builtins(task.for_family(family)), family=family)
                (folder / "manifest.json").write_bytes(files["manifest.json"])
                compiled = Bundle.open(folder).compiled_task()
                row = Row(dict.fromkeys([*task.fields, *task.response_fields], "a good film " * 9), 1, 0)
                (example,) = encode_rows([row], compiled, "rows.jsonl")
            except SeedTuneError as error:
                require_equal(error.remedy is not None, True, f"a remedy in {error}")
                continue
            require_equal(len(example.ids) <= task.max_tokens, True, f"at most {task.max_tokens} tokens")
            require_equal(0 <= example.position < len(example.ids), True, "the label's place in the row")
