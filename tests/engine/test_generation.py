"""The engine in a process of its own goes on with prompts as Python does, token by token; in the APK, too."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from apk_lab import GENERATE

pytestmark = pytest.mark.timeout(1500)


def cases_of(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "generated.jsonl").read_text("utf-8").splitlines()]


@pytest.mark.parametrize("name", ["completion", "all", "last"])
def test_texts_of_a_tuned_bundle_are_pythons_likeliest_and_drawn(java: list[str], golden: Path, name: str) -> None:
    run = golden / "generation" / name
    bundle = json.loads((run / "info.json").read_text())["bundle"]
    cases = [case for case in cases_of(run) if not case["stop"]]
    # A greedy text and a drawn one: JUnit compares them all, in one process.
    for case in (cases[0], next(case for case in cases if case["temperature"] > 0)):
        command = [*java, GENERATE, bundle, case["prompt"], "--run", str(run), "--max-tokens", str(case["max_tokens"])]
        for option in ("temperature", "top_p", "seed"):
            command += [f"--{option.replace('_', '-')}", str(case[option])]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout.splitlines()[-1])
        assert (told["ids"], told["text"], told["finish"]) == (case["ids"], case["text"], case["finish"])
        # What came piece by piece is the text.
        assert done.stdout.startswith(case["text"])


def test_what_the_user_can_put_right_ends_with_status_2(java: list[str], golden: Path) -> None:
    bundle = json.loads((golden / "runs" / "causal-all-fp32-fp32" / "info.json").read_text())["bundle"]
    done = subprocess.run([*java, GENERATE, bundle, "good"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "the bundle has no decode graph" in done.stderr
    assert "export it again with --decode" in done.stderr
