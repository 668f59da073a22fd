"""The RUN folder: its description, its logs, its result, and its journal beside them; reported, opened and resumed."""

from __future__ import annotations

import hashlib
import json
import random
import struct
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

import seedtune
from fuzz import made_up
from fuzz.blind import mutated_bytes
from fuzz.target import ODD, Files, Target, plain_json, require_equal
from fuzz.targets.journal import header, sealed
from fuzz.trees import mutated_tree
from fuzz.values import RAW_JSON, encoded, to_json
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.report.collect import RunData, collect
from seedtune.runtime.report.summary import summarise
from seedtune.runtime.telemetry.events import Prepared
from seedtune.runtime.telemetry.steplog import JsonLinesWriter

STEPS = 4
# Of records; what a field of any type holds may go deeper.
DEPTH = 6
ROWS = '{"text": "a good film", "label": "1"}\n{"text": "a bad film", "label": "0"}\n'
SETTINGS: dict[str, Any] = {
    "steps": 6,
    "batch_size": 2,
    "seed": 7,
    "eval_every": 2,
    "rows_per_call": 1024,
    "start": "zero",
    "estimator.kind": "two_sided",
    "estimator.epsilon": 0.01,
    "estimator.objective": "loss",
    "optimizer.kind": "normalised",
    "optimizer.learning_rate": 0.03,
    "optimizer.schedule": "linear",
    "optimizer.rms_decay": 0.98,
    "optimizer.clip": 3.0,
    "optimizer.average": 0.0,
}
LOGS = ("steps.jsonl", "evaluations.jsonl", "predictions_start.jsonl", "predictions_best.jsonl")


class RunTarget(Target):
    """See the module docstring."""

    name = "run"

    def make(self) -> dict[str, bytes]:
        """A run that was stopped after four of six steps, its bundle and its rows."""
        files = {f"bundle/{name}": raw for name, raw in made_up.bundle().items()}
        files["train.jsonl"] = ROWS.encode()
        sha256 = hashlib.sha256(files["bundle/manifest.json"]).hexdigest()
        described = json.dumps(description(str(self.folder), sha256), indent=2).encode()
        files["run/run.json"] = described
        head = header(1) | {"bundle_sha256": sha256, "settings": SETTINGS}
        payloads = [struct.pack("<3f", 0.1 * step, 0.7, 0.8) for step in range(STEPS)]
        files["run/journal.bin"] = sealed(json.dumps(head).encode(), payloads)
        files["run/trials.json"] = json.dumps(made_up.trials(), indent=2).encode()
        files["run/result.json"] = json.dumps(result(), indent=2).encode()
        for name, records in zip(LOGS, (steps(), evaluations(), predictions(0), predictions(1)), strict=True):
            files[f"run/{name}"] = "".join(json.dumps(record) + "\n" for record in records).encode()
        return files

    def mutated(self, generator: random.Random) -> Files:
        """One of its files changed."""
        name = generator.choice(("run.json", "run.json", "run.json", "result.json", "trials.json", *LOGS))
        path = f"run/{name}"
        raw = self.whole[path]
        kind = generator.random()
        if kind < 0.01:
            return {path: generator.choice(ODD)}
        if kind < 0.2:
            ends = [at + 1 for at, byte in enumerate(raw) if byte == 10]
            return {path: mutated_bytes(generator, raw, ends)}
        if not name.endswith("l"):
            return {path: encoded(to_json(mutated_tree(generator, json.loads(raw), RAW_JSON)))}
        lines = raw.splitlines(keepends=True)
        for place in generator.sample(range(len(lines)), generator.choice((1, 1, 2))):
            lines[place] = encoded(to_json(mutated_tree(generator, json.loads(lines[place]), RAW_JSON))) + b"\n"
        return {path: b"".join(lines)[: None if kind < 0.95 else -generator.randint(1, 9)]}

    def read(self) -> None:
        """Reports it, opens it, resumes it up to its first step, and goes on with a log; each may refuse it."""
        folder = self.folder / "run"
        refusals = []
        for use in (self._report, self._open, self._resume, self._append):
            try:
                use()
            except SeedTuneError as error:
                if not (error.file or "").startswith(str(folder)) or not error.remedy:
                    raise
                refusals.append(error)
        if refusals:
            raise refusals[0]

    def _report(self) -> None:
        data = collect(self.folder / "run")
        summarise(data)
        self._compare(data)

    def _compare(self, data: RunData) -> None:
        folder = self.folder / "run"
        written = plain_json((folder / "run.json").read_bytes())
        # These may hold anything, nested more deeply than Python walks.
        require_equal(data.description.settings == written["settings"], True, "settings")
        for name in ("created", "bundle", "bundle_sha256", "task", "state"):
            found = msgspec.to_builtins(getattr(data.description, name))
            require_equal(found, _known(written[name], found), name)
        for name, records, key in (
            ("steps.jsonl", data.steps, "step"),
            ("evaluations.jsonl", data.evaluations, "step"),
            ("predictions_start.jsonl", data.predictions_start, "index"),
            ("predictions_best.jsonl", data.predictions_best, "index"),
        ):
            _compare_lines(folder / name, records, key)

    def _open(self) -> None:
        with seedtune.open(self.folder / "run", bundle=self.folder / "bundle") as model:
            require_equal(model.is_run, True, "a run")
            journal = model._tuned.journal
            assert journal is not None
            require_equal(0 <= model.step <= journal.steps == STEPS, True, f"step {model.step} of {STEPS}")

    def _resume(self) -> None:
        with seedtune.open(self.folder / "bundle") as model:
            event = next(model.tune(self.folder / "train.jsonl", out=self.folder / "run", resume=True))
        assert isinstance(event, Prepared)
        # That journal.bin says the same is seen to before the first step.
        written = plain_json((self.folder / "run" / "run.json").read_bytes())["settings"]
        require_equal(dict(event.settings), _known(written, dict(event.settings)), "settings of the resumed run")

    def _append(self) -> None:
        for name in LOGS:
            path = self.folder / "run" / name
            if path.exists() and not path.is_file():
                continue
            before = path.read_bytes() if path.is_file() else b""
            with JsonLinesWriter(path) as log:
                log.write({"step": 99})
            after = path.read_bytes()
            require_equal(
                after.endswith(b'\n{"step":99}\n') or after == b'{"step":99}\n', True, f"a line behind {name}"
            )
            path.write_bytes(before) if before else path.unlink()


def _known(written: Any, found: Any, depth: int = 0) -> Any:
    """What is ``written``, without fields that ``found`` does not have, and with those that may be left out."""
    if depth > DEPTH:
        return written
    if isinstance(found, dict) and isinstance(written, dict):
        return {name: _known(written.get(name), item, depth + 1) for name, item in found.items()}
    if isinstance(found, list) and isinstance(written, list) and len(found) == len(written):
        return [_known(one, other, depth + 1) for one, other in zip(written, found, strict=True)]
    return written


def _compare_lines(path: Any, records: Sequence[msgspec.Struct], key: str) -> None:
    if not path.exists():
        return
    latest = {}
    for line in path.read_bytes().split(b"\n"):
        try:
            value = plain_json(line)
            latest[value[key]] = value
        except ValueError:
            continue
    require_equal([getattr(record, key) for record in records], sorted(latest), f"{path.name}: {key}")
    for record in records:
        found = msgspec.to_builtins(record)
        require_equal(found, _known({**found, **latest[found[key]]}, found), path.name)


def description(folder: str, sha256: str) -> dict[str, Any]:
    """run.json."""
    labels = [{"value": str(place), "name": word.strip(), "word": word} for place, word in enumerate((" bad", " good"))]
    train = {"path": f"{folder}/train.jsonl", "rows": 2, "sha256": hashlib.sha256(ROWS.encode()).hexdigest()}
    return {
        "format_version": 1,
        "seedtune_version": "0.1.0",
        "created": "2026-11-26T07:00:00+00:00",
        "bundle": f"{folder}/bundle",
        "bundle_sha256": sha256,
        "model": {"source": "made-up", "family": "causal", "architecture": "Llama", "parameters": 9000},
        "task": {"name": "made-up", "template": made_up.TEMPLATE, "labels": labels},
        "settings": SETTINGS,
        "data": {"train": train, "eval": None, "split_off": 0},
        "plan": {"budget_seconds": 60.0, "patience": 8, "given": {"seed": 7}},
        "state": {"parameters": made_up.PARAMETERS, "targets": ["q", "v"], "rank": 2},
        "machine": {"platform": "x", "processor": "y", "cores": 2, "python": "3.11", "onnxruntime": "1.26.0"},
    }


def steps() -> list[dict[str, Any]]:
    """steps.jsonl."""
    numbers = dict.fromkeys(("encode_ms", "probe_ms", "update_ms", "journal_ms", "total_ms", "learning_rate"), 1.5)
    numbers |= dict.fromkeys(("loss", "loss_plus", "loss_minus", "projected_gradient", "coefficient"), 0.75)
    counts = {"rows": 40, "tokens": 30, "padding_tokens": 10, "context_tokens": 5, "rss_anon_peak_bytes": 10**8}
    return [{"step": step, **numbers, **counts, "elapsed_seconds": 0.5 * step} for step in range(1, STEPS + 1)]


def evaluations() -> list[dict[str, Any]]:
    """evaluations.jsonl."""
    return [
        {"step": step, "accuracy": 0.5, "loss": 0.7 - step / 10, "examples": 2, "seconds": 0.1, "best": True}
        for step in (0, 2, 4)
    ]


def predictions(right: int) -> list[dict[str, Any]]:
    """predictions_start.jsonl (0 of two right) and predictions_best.jsonl (1)."""
    return [
        {
            "index": index,
            "fields": {"text": f"row {index}"},
            "label": index,
            "prediction": index if index < right else 1 - index,
            "probabilities": [0.25, 0.75],
            "loss": 0.5,
        }
        for index in range(2)
    ]


def result() -> dict[str, Any]:
    """result.json."""
    accuracies = {"accuracy_start": 0.5, "accuracy_best": 0.5, "accuracy_end": 0.5}
    return {
        "steps": STEPS,
        "loss_start": 0.7,
        "loss_end": 0.3,
        "state_sha256": hashlib.sha256(np.zeros(2, np.float32).tobytes()).hexdigest(),
        "journal": "journal.bin",
        "probe_ms_median": 1.5,
        "rss_anon_peak_bytes": 10**8,
        "best_step": 4,
        **accuracies,
        "seconds_total": 2.0,
        "interrupted": True,
        "batch_size": 2,
    }
