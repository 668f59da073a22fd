"""A bundle: its manifest with all that it says, and the other files, which must be what the manifest lists."""

from __future__ import annotations

import itertools
import json
import random
from typing import Any

import msgspec

from fuzz import made_up
from fuzz.blind import mutated_bytes
from fuzz.target import ODD, Files, Target, WrongError, plain_json, require_equal
from fuzz.trees import mutated_tree
from fuzz.values import RAW_JSON, Pairs, encoded, pairs_of, to_json
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.data.rows import Row
from seedtune.runtime.model.splits import encode_rows
from seedtune.runtime.model.tuned import open_tuned

# What stands for a field of the manifest that is left out.
DEFAULTS: dict[str, Any] = {"check": None, "host_files": []}
MODEL_DEFAULTS: dict[str, Any] = {"end_token": None}
OBJECTIVE_DEFAULTS: dict[str, Any] = {"scope": "all", "context": None, "decode": None}


def as_written(raw: bytes) -> dict[str, Any]:
    """The manifest ``raw`` read plainly, with the fields that may be left out."""
    value = DEFAULTS | plain_json(raw)
    objective = OBJECTIVE_DEFAULTS | value["objective"]
    objective["model"] = MODEL_DEFAULTS | objective["model"]
    objective["task"] = task_as_written(objective["task"])
    if objective["context"] is not None:
        objective["context"] = {"entering": 0} | objective["context"]
    if objective["decode"] is not None:
        defaults: dict[str, Any] = {"end_ids": [], "chat_template": None, "special_tokens": {}}
        objective["decode"] = defaults | objective["decode"]
    return value | {"objective": objective, "state": {"head": None} | value["state"]}


def task_as_written(task: dict[str, Any]) -> dict[str, Any]:
    """A task with the fields that may be left out."""
    defaults: dict[str, Any] = {
        "labels": [],
        "response": "",
        "truncate": "",
        "max_tokens": 128,
        "max_characters": 20_000,
        "label_field": "label",
        "masked": None,
    }
    task = defaults | task
    task["labels"] = [label | {"name": label.get("name") or label["word"].strip()} for label in task["labels"]]
    if not task["truncate"]:
        # The one field of the template; others are refused.
        task["truncate"] = task["template"].split("{")[-1].split("}")[0]
    if task["masked"] is not None:
        task["masked"] = {"words": {}} | task["masked"]
    return task


class ManifestTarget(Target):
    """manifest.json, with hashes of files that are as they should be unless it is they that are changed."""

    name = "manifest"

    def make(self) -> dict[str, bytes]:
        """A whole bundle."""
        return made_up.bundle()

    def mutated(self, generator: random.Random) -> Files:
        """See the class."""
        raw = self.whole["manifest.json"]
        if generator.random() < 0.2:
            return {"manifest.json": mutated_bytes(generator, raw)}
        value = json.loads(raw)
        # The list of files has most of the places, and less to be said of.
        files = value.pop("files")
        if generator.random() < 0.2:
            files = mutated_tree(generator, files, RAW_JSON)
        else:
            value = mutated_tree(generator, value, RAW_JSON)
        tree = pairs_of(value)
        if isinstance(tree, Pairs):
            tree.append(("files", pairs_of(files)))
        return {"manifest.json": encoded(to_json(tree))}

    def read(self) -> None:
        """Opens the bundle and compiles its task; the manifest encoded again must be the one that was read."""
        bundle = Bundle.open(self.folder)
        written = as_written((self.folder / "manifest.json").read_bytes())
        require_equal(msgspec.to_builtins(bundle.manifest), written, "manifest")
        model, state = bundle.manifest.language_model.model, bundle.manifest.state
        compiled = bundle.compiled_task()
        row = Row({"text": "a good film"} | dict.fromkeys(compiled.task.response_fields, "good"), 1, 0)
        (example,) = encode_rows([row], compiled, str(self.folder / "rows.jsonl"))
        in_range = 0 <= model.padding_id < model.vocabulary_size and example.ids.max() < model.vocabulary_size
        if not in_range or len(example.ids) > model.max_positions:
            raise WrongError(f"accepted ids {example.ids}, padding {model.padding_id} of {model.vocabulary_size}")
        places = [range(each.offset, each.offset + each.out_features * each.rank) for each in state.targets]
        for place, other in itertools.pairwise(places):
            if not 0 <= place.start < place.stop <= other.start:
                raise WrongError(f"accepted targets at {places}")
        if min(each.in_features for each in state.targets) < 1 or not places[-1].stop <= state.parameters:
            raise WrongError(f"accepted a state of {state}")
        self.said = {
            "parameters": state.parameters,
            "offsets": [each.offset for each in state.targets],
            "max_tokens": compiled.task.max_tokens,
            "ids": example.ids.tolist(),
        }


class BundleTarget(Target):
    """The other files of the folder: altered, cut, missing, or something that is no file."""

    name = "bundle"

    def make(self) -> dict[str, bytes]:
        """A whole bundle."""
        return made_up.bundle()

    def mutated(self, generator: random.Random) -> Files:
        """See the class."""
        name = generator.choice(sorted(self.whole.keys() - {"manifest.json"}))
        if generator.random() < 0.02:
            return {generator.choice((name, "manifest.json")): generator.choice(ODD)}
        if generator.random() < 0.03:
            other = generator.choice(sorted(self.whole))
            return {name: self.whole[other]}
        return {name: mutated_bytes(generator, self.whole[name])}

    def read(self) -> None:
        """Opens it by the way of every command; only files with the bytes that they had may be accepted."""
        open_tuned(self.folder)
        for path, raw in self.whole.items():
            require_equal((self.folder / path).read_bytes(), raw, path)
