"""Settings in a file of ``--config``, through the front door: up to what a run would be begun with."""

from __future__ import annotations

import random
import shutil
import tomllib
from pathlib import Path
from typing import Any

import seedtune
from fuzz import made_up
from fuzz.blind import mutated_bytes
from fuzz.target import Files, Odd, Target, plain_json, require_equal
from fuzz.trees import mutated_tree
from fuzz.values import RAW_JSON, RAW_TOML, Pairs, encoded, pairs_of, to_json, to_toml
from seedtune.runtime.run.config_file import read_settings
from seedtune.runtime.telemetry.events import Prepared

TOML = "settings.toml"
JSON = "settings.json"
SETTINGS: dict[str, Any] = {
    "steps": 40,
    "seed": 7,
    "batch_size": 4,
    "optimizer": {"kind": "momentum", "learning_rate": 0.5, "momentum": 0.75},
    "estimator": {"epsilon": 0.02},
}
FLAT: dict[str, Any] = {
    "steps": 40,
    "batch_size": 8,
    "seed": 7,
    "eval_every": 50,
    "rows_per_call": 1024,
    "estimator.kind": "two_sided",
    "estimator.epsilon": 0.02,
    "estimator.objective": "loss",
    "optimizer.kind": "normalised",
    "optimizer.learning_rate": 0.5,
    "optimizer.schedule": "linear",
    "optimizer.rms_decay": 0.98,
    "optimizer.clip": 3.0,
    "optimizer.average": 0.0,
}
ROWS = '{"text": "a good film", "label": "1"}\n{"text": "a bad film", "label": "0"}\n'


class ConfigTarget(Target):
    """See the module docstring."""

    name = "config"

    def make(self) -> dict[str, bytes]:
        """The same settings as TOML, and others as run.json has them; a bundle to be tuned with them."""
        files = {f"bundle/{name}": raw for name, raw in made_up.bundle().items()}
        files["train.jsonl"] = ROWS.encode()
        files[TOML] = to_toml(pairs_of(SETTINGS)).encode()
        return files

    def mutated(self, generator: random.Random) -> Files:
        """See the module docstring."""
        kind = generator.random()
        if kind < 0.005:
            return {TOML: Odd(generator.choice(("missing", "folder", "link", "endless")))}
        if kind < 0.2:
            return {TOML: mutated_bytes(generator, self.whole[TOML])}
        if kind < 0.6:
            tree = mutated_tree(generator, SETTINGS, RAW_TOML)
            return {TOML: encoded(to_toml(tree if isinstance(tree, Pairs) else Pairs([("steps", tree)])))}
        value = generator.choice((FLAT, SETTINGS, {"settings": FLAT, "machine": {"cores": 2}}))
        content = encoded(to_json(mutated_tree(generator, value, RAW_JSON)))
        return {TOML: Odd("missing"), JSON: mutated_bytes(generator, content) if kind > 0.95 else content}

    def read(self) -> None:
        """Begins a run with it; what the run says of its settings must be what the file says."""
        path = self.folder / (JSON if (self.folder / JSON).exists() else TOML)
        given = read_settings(path, {})
        out = self.folder / "run"
        shutil.rmtree(out, ignore_errors=True)
        with seedtune.open(self.folder / "bundle") as model:
            event = next(model.tune(self.folder / "train.jsonl", out=out, **given))
        assert isinstance(event, Prepared)
        _compare(event.settings, path)


def _compare(settings: Any, path: Path) -> None:
    text = path.read_bytes().decode("utf-8-sig")
    written = plain_json(text) if path.name == JSON else tomllib.loads(text)
    if path.name == JSON and isinstance(written.get("settings"), dict):
        written = written["settings"]
    flat = {
        f"{part}.{name}": value for part, of in written.items() if isinstance(of, dict) for name, value in of.items()
    }
    flat |= {name: value for name, value in written.items() if not isinstance(value, dict)}
    for name, value in flat.items():
        known = {key.split(".")[-1]: key for key in settings if not key.endswith(".kind")}
        key = name if name in settings else f"{name}.kind" if f"{name}.kind" in settings else known[name.split(".")[-1]]
        found = settings[key]
        if isinstance(value, str):
            value = value.replace("-", "_")
        require_equal(found, value, name)
