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
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.task.compile import CompiledTask
from seedtune.runtime.task.definition import load_task
from seedtune.runtime.task.structure import Task

FILE = "task.toml"
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
        self._tokenizer = made_up.tokenizer("pairs")
        return {FILE: to_toml(pairs_of(CLASSIFICATION)).encode()}

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
        self._compile(task, path)

    def _compile(self, task: Task, path: Any) -> None:
        # Whether words are tokens of some model is not for the file to say.
        for family, scope in (("causal", "suffix"), ("masked", "all")):
            try:
                compiled = CompiledTask(
                    task.for_family(family), self._tokenizer, family, "<mask>", "<unk>", 64, scope, "</s>"
                )
                fields = dict.fromkeys([*task.fields, *task.response_fields], "a good film " * 9)
                example = compiled.encode(fields)
            except SeedTuneError as error:
                require_equal(error.remedy is not None, True, f"a remedy in {error}")
                continue
            require_equal(len(example.ids) <= task.max_tokens, True, f"at most {task.max_tokens} tokens")
            require_equal(0 <= example.position < len(example.ids), True, "the label's place in the row")
