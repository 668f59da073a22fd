"""A model card of a run, in the form of the Hugging Face hub: YAML between lines of dashes, then Markdown.

It says what is known from the RUN folder and nothing else: figures come with the number of rows and their Wilson
intervals, data with their SHA-256 and never with their paths.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.report.collect import RunData
from seedtune.runtime.report.statistics import wilson_interval
from seedtune.runtime.telemetry.gain import describe_gain
from seedtune.runtime.telemetry.records import DataFileInfo, EvaluationRecord, RunResult

# The hub's name for an accuracy of rows that come in one order or another.
METRIC, TASK = "accuracy", "text-classification"
COMPLETION, FEATURES = "text-generation", "feature-extraction"
UNKNOWN_LICENSE = "other"


def model_card(data: RunData, license_name: str | None = None) -> str:
    """The card of a run that has ended.

    Args:
        data: of the RUN folder.
        license_name: of the base model, as the hub spells it ("apache-2.0"); None where nobody said.

    Raises:
        SeedTuneError: the run has not ended.
    """
    result = data.result
    if result is None:
        raise SeedTuneError(
            "the run has not ended, so there is nothing to say of it",
            file=data.folder,
            rule="a folder with result.json",
            remedy="go on with seedtune run BUNDLE --out RUN --resume",
        )
    parts = [_front_matter(data, license_name), _about(data, license_name), _figures(data, result), _data(data)]
    return "\n\n".join([*parts, _how(data, result)]) + "\n"


def _front_matter(data: RunData, license_name: str | None) -> str:
    run = data.description
    task = FEATURES if _is_of_features(data) else TASK if run.task.labels else COMPLETION
    best = _best(data)
    fields: list[tuple[str, Any]] = [
        ("base_model", run.model.source),
        ("license", license_name or UNKNOWN_LICENSE),
        ("library_name", "seedtune"),
        ("pipeline_tag", task),
        ("tags", ["seedtune", "forward-only", "zeroth-order"]),
    ]
    if best is not None:
        metric = {"type": METRIC if run.task.labels else "token_accuracy", "value": round(best.accuracy, 4)}
        about = {"name": run.task.name, "type": "private"}
        results = [{"task": {"type": task}, "dataset": about, "metrics": [metric]}]
        fields.append(("model-index", [{"name": run.task.name, "results": results}]))
    # JSON is YAML, and quotes what a name could hide.
    return "\n".join(["---", *(f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in fields), "---"])


def _about(data: RunData, license_name: str | None) -> str:
    run = data.description
    labels = ", ".join(label.name for label in run.task.labels)
    asked = f"It chooses between: {_plain(labels)}." if labels else "It completes prompts."
    license_text = (
        f"The base model's license is {_plain(license_name)}."
        if license_name
        else "The license of the base model was not named; it holds for what was made of it too."
    )
    if _is_of_features(data):
        return "\n\n".join(
            [
                f"# {_plain(run.task.name)}, tuned over {_plain(run.model.source)}",
                f"{_plain(run.model.architecture)}: a state of {run.state.parameters:,} values was tuned. "
                f"{license_text}",
            ]
        )
    return "\n\n".join(
        [
            f"# {_plain(run.task.name)}, tuned from {_plain(run.model.source)}",
            f"{_plain(run.model.architecture)} with {run.model.parameters:,} parameters, of which none was changed: a "
            f"state of {run.state.parameters:,} values of rank {run.state.rank} was tuned beside them. {asked} "
            f"{license_text}",
            f"The prompt:\n\n{_indented(run.task.template)}",
        ]
    )


def _figures(data: RunData, result: RunResult) -> str:
    rows = ["| held-out rows | accuracy | 95 % interval | loss |", "|---|---|---|---|"]
    best = _best(data)
    first = data.evaluations[0] if data.evaluations else None
    for name, found in (("before the first step", first), ("the tuned model", best)):
        if found is not None:
            low, high = wilson_interval(round(found.accuracy * found.examples), found.examples)
            loss = "-" if found.loss is None else f"{found.loss:.4f}"
            rows.append(f"| {name}, {found.examples:,} | {found.accuracy:.1%} | {low:.1%} to {high:.1%} | {loss} |")
    if len(rows) == 2:
        return "## Figures\n\nNo rows were held out, so nothing is known of how well it does."
    note = "The best state was chosen by these rows, so its figures are better than those of new rows will be."
    if not data.description.task.labels and not _is_of_features(data):
        note = f"Accuracy is that of the responses' tokens. {note}"
    gain = ""
    if result.gain is not None:
        gain = f"\n\nOn these rows: {_plain(describe_gain(result.gain))}."
    return "\n".join(["## Figures", "", *rows, "", note]) + gain


def _data(data: RunData) -> str:
    run = data.description
    files: list[tuple[str, DataFileInfo | None]] = [("learnt from", run.data.train), ("held out", run.data.eval)]
    rows = [f"| {name} | {file.rows:,} | `{file.sha256}` |" for name, file in files if file is not None]
    split = f"\n\n{run.data.split_off:,} of the rows to learn from were held out." if run.data.split_off else ""
    return "\n".join(["## Data", "", "| | rows | SHA-256 |", "|---|---|---|", *rows]) + split


def _how(data: RunData, result: RunResult) -> str:
    run = data.description
    held = "not known" if result.rss_anon_peak_bytes is None else f"{result.rss_anon_peak_bytes / 1e6:,.0f} MB"
    pairs = sorted(run.settings.items())
    settings = "\n".join(f"| {_plain(name)} | {_plain(str(value))} |" for name, value in pairs)
    return "\n".join(
        [
            "## How it was made",
            "",
            f"{result.steps:,} steps by seedtune {_plain(run.seedtune_version)} in {result.seconds_total:,.0f} s on "
            f"{_plain(run.machine.processor)}; peak of anonymous memory: {held}. The journal and the bundle with "
            f"SHA-256 `{run.bundle_sha256}` make the state `{result.state_sha256}` again, to the bit.",
            "",
            "| setting | |",
            "|---|---|",
            settings,
        ]
    )


def _is_of_features(data: RunData) -> bool:
    """Whether the run is one of heads over features, which knows no prompt."""
    return not data.description.task.template


def _best(data: RunData) -> EvaluationRecord | None:
    chosen = [found for found in data.evaluations if found.best]
    return chosen[-1] if chosen else None


def _plain(text: str | None) -> str:
    """``text`` in one line, with nothing in it that Markdown or a table would read."""
    line = " ".join((text or "").split())
    return "".join(f"\\{character}" if character in "\\`*_[]<>|#" else character for character in line)


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.split("\n"))


def card_path(run: Path, out: Path | None) -> Path:
    """Where the card goes: ``out``, or README.md in the RUN folder."""
    return run / "README.md" if out is None else out
