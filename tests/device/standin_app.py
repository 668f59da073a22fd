"""An app that writes the files of a run line by line as the engine does, and tunes nothing: for tests of the cable.

Its process is one that sleeps, so that what the phone tells of a process is the kernel's. Every line is written by one
call, as the app's are, and numbered as they are.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

HASH = "0123456789abcdef" * 4
SEGMENT_BYTES = 1 << 20


class WritingApp:
    """Writes ``steps`` steps, one every ``pause_seconds``, of whatever run it is told."""

    def __init__(self, files: Path, steps: int = 200, pause_seconds: float = 0.0) -> None:
        self.files, self.steps, self.pause_seconds = files, steps, pause_seconds
        self.segment_bytes = SEGMENT_BYTES
        self.pid: int | None = None
        self.heard: list[tuple[str, dict[str, str]]] = []
        self.rows = 8  # told in every step
        self.hold_at: int | None = None  # waits behind this step until it is None
        self._ends = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._worker: threading.Thread | None = None

    def told(self, action: str, extras: dict[str, str]) -> None:
        self.heard.append((action, extras))
        if action.endswith(".START") and not (self._worker and self._worker.is_alive()):
            run = self.files / "runs" / extras["--es run"]
            if "--es bundle" not in extras and (run / "app.json").is_file():
                extras = json.loads((run / "app.json").read_text())
            self._start(run, extras)
        elif action.endswith(".STOP"):
            self._ends.set()

    def again(self) -> None:
        """As the system does with a service whose process was killed: the last Intent once more."""
        action, extras = next(entry for entry in reversed(self.heard) if entry[0].endswith(".START"))
        self.told(action, extras)

    def kill(self) -> None:
        """SIGKILL, as by the low-memory killer: nothing is concluded."""
        self._killed = True
        self._ends.set()
        if self._worker:
            self._worker.join()
        if self._process:
            self._process.kill()
            self._process.wait()
        self._process, self.pid = None, None

    def wait(self) -> None:
        assert self._worker
        self._worker.join()

    def _start(self, run: Path, extras: dict[str, str]) -> None:
        self._ends = threading.Event()
        self._killed = False
        if self._process is None:
            self._process = subprocess.Popen(["sleep", "1000"])
        self.pid = self._process.pid
        run.mkdir(parents=True, exist_ok=True)
        put(run / "app.json", json.dumps(extras))
        self._worker = threading.Thread(target=self._work, args=(run, extras, self._ends), daemon=True)
        self._worker.start()

    def _work(self, run: Path, extras: dict[str, str], ends: threading.Event) -> None:
        if not (run / "run.json").exists():
            put(run / "run.json", json.dumps(description(self.steps, extras)))
        done = len((run / "steps.jsonl").read_bytes().splitlines()) if (run / "steps.jsonl").exists() else 0
        sequence = 0
        with (run / "journal.bin").open("ab", 0) as journal:
            while done < self.steps and not ends.is_set():
                done += 1
                journal.write(done.to_bytes(16, "little"))
                append(run / "steps.jsonl", step(done) | {"rows": self.rows})
                if done % 50 == 0:
                    append(run / "evaluations.jsonl", evaluation(done))
                segment = self._segment(run)
                if segment:
                    append(segment, telemetry(sequence))
                sequence += 1
                while done == self.hold_at and not ends.is_set():
                    time.sleep(0.005)
                if self.pause_seconds:
                    time.sleep(self.pause_seconds)
        if not self._killed:
            put(run / "result.json", json.dumps(result(done, self.steps)))

    def _segment(self, run: Path) -> Path | None:
        """Where the next line goes; as in SegmentedLog.kt."""
        there = sorted(run.glob("telemetry-*.jsonl"))
        if not there:
            return run / "telemetry-000001.jsonl"
        if there[-1].stat().st_size < self.segment_bytes:
            return there[-1]
        return None if len(there) >= 16 else run / f"telemetry-{int(there[-1].stem[-6:]) + 1:06d}.jsonl"


def append(path: Path, record: dict[str, Any]) -> None:
    line = (json.dumps(record) + "\n").encode()
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.write(file, line)
    os.close(file)


def put(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text + "\n")
    partial.replace(path)


def description(steps: int, extras: dict[str, str]) -> dict[str, Any]:
    files = f"/storage/emulated/0/Android/data/org.seedtune.app/files/data/{extras.get('--es train', 'train.jsonl')}"
    return {
        "format_version": 1,
        "seedtune_version": "0.1.0",
        "created": "2026-01-31T12:00:00+00:00",
        "bundle": f"/storage/emulated/0/Android/data/org.seedtune.app/files/bundles/{extras.get('--es bundle', 'b')}",
        "bundle_sha256": HASH,
        "model": {"source": "made up", "family": "llama", "architecture": "LlamaForCausalLM", "parameters": 1000},
        "task": {
            "name": "tiny",
            "template": "{text}",
            "labels": [{"value": "0", "name": "no", "word": " no"}, {"value": "1", "name": "yes", "word": " yes"}],
        },
        "settings": {
            "steps": steps,
            "batch_size": 4,
            "seed": 3,
            "rows_per_call": 1024,
            "estimator.kind": "two_sided",
            "optimizer.kind": "momentum",
            "optimizer.learning_rate": 0.01,
            "optimizer.momentum": 0.9,
        },
        "data": {"train": {"path": files, "rows": 64, "sha256": HASH}, "eval": None},
        "state": {"parameters": 100, "targets": ["down_proj"], "rank": 4},
        "machine": {"platform": "Linux", "processor": "aarch64", "cores": 8, "python": "none", "onnxruntime": "1.28.0"},
    }


def step(number: int) -> dict[str, Any]:
    return {
        "step": number,
        "loss": 0.7 - 0.001 * number,
        "loss_plus": 0.7,
        "loss_minus": 0.6,
        "projected_gradient": 5.0,
        "coefficient": -0.01,
        "learning_rate": 0.01,
        "rows": 8,
        "tokens": 64,
        "padding_tokens": 3,
        "encode_ms": 0.1,
        "probe_ms": 3.0,
        "update_ms": 0.3,
        "journal_ms": 0.2,
        "total_ms": 3.6,
        "elapsed_seconds": 0.0036 * number,
        "rss_anon_bytes": 100_000_000 + number,
    }


def evaluation(done: int) -> dict[str, Any]:
    return {"step": done, "accuracy": 0.75, "loss": 0.6, "examples": 24, "seconds": 0.1, "best": True}


def telemetry(sequence: int) -> dict[str, Any]:
    seconds = float(Path("/proc/uptime").read_text().split()[0])
    return {
        "sequence": sequence,
        "elapsed_realtime_nanos": int(seconds * 1e9),
        "rss_anon_bytes": 100_000_000,
        "pss_bytes": 90_000_000,
        "thermal_status": 0,
        "battery_percent": 80,
        "battery_joules": 0.1 * sequence,
    }


def result(done: int, steps: int) -> dict[str, Any]:
    return {
        "steps": done,
        "loss_start": 0.7,
        "loss_end": 0.6,
        "state_sha256": HASH,
        "journal": "journal.bin",
        "probe_ms_median": 3.0,
        "rss_anon_peak_bytes": 100_000_000 + done,
        "best_step": None,
        "accuracy_start": None,
        "accuracy_best": None,
        "accuracy_end": None,
        "seconds_total": 1.0,
        "interrupted": done < steps,
    }
