"""A synthetic RUN folder, seeded, with everything a finished run writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

HASH = "0123456789abcdef" * 4
WORDS = ["warm", "dull", "film", "tired", "jokes", "great", "scene", "ending", "nobody", "forgets"]


def synthetic_run(
    folder: Path,
    *,
    steps: int = 60,
    held_out: int = 100,
    finished: bool = True,
    text: str | None = None,
    name: str = "sst2",
) -> Path:
    """Writes a RUN folder; ``text`` replaces every free text of it, ``held_out=0`` leaves out evaluations."""
    random = np.random.default_rng(7)
    folder.mkdir(parents=True)
    write_json(folder / "run.json", description(steps, held_out, text, name))
    write_lines(folder / "steps.jsonl", [step(n, steps, random) for n in range(1, steps + 1)])
    if held_out:
        labels = random.integers(0, 2, held_out)
        for file, right in (("predictions_start", 0.76), ("predictions_best", 0.85)):
            rows = [prediction(i, int(labels[i]), right, text, random) for i in range(held_out)]
            write_lines(folder / f"{file}.jsonl", rows)
        write_lines(folder / "evaluations.jsonl", evaluations(steps, held_out))
    if finished:
        write_json(folder / "result.json", result(steps, held_out, text))
    return folder


def description(steps: int, held_out: int, text: str | None, name: str) -> dict[str, Any]:
    data = {"path": text or "train.jsonl", "rows": 2000, "sha256": HASH}
    return {
        "format_version": 1,
        "seedtune_version": "0.1.0",
        "created": "2026-01-31T12:00:00+00:00",
        "bundle": text or "bundle",
        "bundle_sha256": HASH,
        "model": {
            "source": text or "SmolLM2-135M-Instruct",
            "family": "llama",
            "architecture": "LlamaForCausalLM",
            "parameters": 134_515_008,
        },
        "task": {
            "name": text or name,
            "template": text or "Review: {text}\nSentiment:{label}",
            "labels": [
                {"value": 0, "name": text or "negative", "word": " negative"},
                {"value": 1, "name": "positive", "word": text or " positive"},
            ],
            "unknown_field": True,
        },
        "settings": {
            "steps": steps,
            "batch_size": 32,
            "learning_rate": 0.02,
            "epsilon": 0.01,
            "seed": 42,
            "estimator": text or "two-sided",
            "normalise": True,
            "schedule": {"kind": "linear", "end": 0.0},
        },
        "data": {"train": data, "eval": data | {"rows": held_out} if held_out else None},
        "state": {"parameters": 1_105_920, "targets": ["down_proj", "q_proj"], "rank": 4},
        "machine": {
            "platform": "Linux-6.1-x86_64",
            "processor": text or "x86_64",
            "cores": 2,
            "python": "3.11.9",
            "onnxruntime": "1.26.0",
        },
    }


def step(number: int, steps: int, random: np.random.Generator) -> dict[str, Any]:
    loss = 0.44 + 0.16 * float(np.exp(-number / (0.4 * steps))) + float(random.normal(0, 0.05))
    gradient = float(random.normal(0, 2))
    probe = 820 + float(random.normal(0, 25))
    anon = int(170e6 + random.normal(0, 3e6))
    file = int(290e6 + 40e6 * min(1, number / 20))
    return {
        "step": number,
        "loss": loss,
        "loss_plus": loss + 0.01 * gradient,
        "loss_minus": loss - 0.01 * gradient,
        "projected_gradient": gradient,
        "coefficient": -0.02 * gradient / 2 * (1 - number / (steps + 1)),
        "learning_rate": 0.02 * (1 - number / (steps + 1)),
        "rows": 32,
        "tokens": 2048,
        "padding_tokens": 410,
        "encode_ms": 3.1,
        "probe_ms": probe,
        "update_ms": 61.0 + float(random.normal(0, 4)),
        "journal_ms": 1.2,
        "total_ms": probe + 66,
        "elapsed_seconds": 0.9 * number,
        "vm_rss_bytes": anon + file,
        "rss_anon_bytes": anon,
        "rss_file_bytes": file,
        "vm_hwm_bytes": 560_000_000,
        "rss_anon_peak_bytes": 231_000_000,
    }


def evaluations(steps: int, held_out: int) -> list[dict[str, Any]]:
    count = 5
    return [
        {
            "step": steps * i // count,
            "accuracy": round((0.76 + 0.018 * (i if i != 3 else 1.5)) * held_out) / held_out,
            "loss": 0.52 - 0.02 * i,
            "examples": held_out,
            "seconds": 4.8,
            "best": i != 3,
        }
        for i in range(count + 1)
    ]


def prediction(index: int, label: int, right: float, text: str | None, random: np.random.Generator) -> dict[str, Any]:
    guess = label if random.random() < right else 1 - label
    sure = float(random.uniform(0.5, 0.98))
    words = " ".join(random.choice(WORDS, 14))
    return {
        "index": index,
        "fields": {"text": text or words},
        "label": label,
        "prediction": guess,
        "probabilities": [sure, 1 - sure] if guess == 0 else [1 - sure, sure],
        "loss": 0.4,
    }


def result(steps: int, held_out: int, text: str | None) -> dict[str, Any]:
    return {
        "steps": steps,
        "loss_start": 0.603,
        "loss_end": 0.441,
        "state_sha256": HASH,
        "journal": text or "run.journal",
        "probe_ms_median": 818.2,
        "rss_anon_peak_bytes": 231_000_000,
        "best_step": steps if held_out else None,
        "accuracy_start": 0.76 if held_out else None,
        "accuracy_best": 0.85 if held_out else None,
        "accuracy_end": 0.85 if held_out else None,
        "seconds_total": 212.4,
        "interrupted": False,
    }


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")


def write_lines(path: Path, values: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")
