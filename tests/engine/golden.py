"""What the Kotlin engine must compute again: noise, numbers, rows and whole runs, written as files.

The tests of `android_app/engine` read them (`Golden.kt`); tokens are in golden_tokens.py. A change of a format
here needs another VERSION in both.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from scan_lab import TEST_FROM, digits, layers_of, write_classifier

import seedtune
from seedtune.runtime.bundle.manifest import StateLayout, Target
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.journal.file import JournalWriter, read_journal
from seedtune.runtime.journal.format import Header
from seedtune.runtime.journal.records import Record
from seedtune.runtime.model.splits import load_split
from seedtune.runtime.noise import derive_seed, noise_words, permutation, rademacher
from seedtune.runtime.run.settings import Settings
from seedtune.runtime.stages.memory_limit import Shape, choose
from seedtune.runtime.stages.streaming import StageFiles

ENGINE = Path(__file__).parents[2] / "android_app"
VERSION = 11
# Of the runs, by option.
SETTINGS: dict[str, Any] = {
    "steps": 50,
    "batch-size": 8,
    "seed": 11,
    "rows-per-call": 200,
    "eval-every": 20,
    "start": "zero",
}

# Of scans, by name.
SCANS: dict[str, dict[str, Any]] = {
    "spt": {"queries": 60, "correlation": 0.9, "seed": 5},
    "spa": {"queries": 40, "attack": "spa", "correlation": 0.95, "opening": 0.5},
    "one": {"queries": 20, "pictures": 1, "correlation": 0.999},
}


def write_json(path: Path, value: object) -> None:
    """One JSON value."""
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


def write_lines(path: Path, records: Iterable[object]) -> None:
    """One JSON value a line."""
    with path.open("w", encoding="utf-8") as file:
        for record in records:
            # A line separator inside a string would be a line's end to a reader.
            file.write(json.dumps(record) + "\n")


def write_noise(folder: Path) -> None:
    """noise.json."""
    cases = []
    for seed in (0, 1, 7, 123456789, 2**31, 2**32 - 1):
        derived = [
            {"purpose": purpose, "counter": counter, "seed": derive_seed(seed, purpose, counter)}
            for purpose in ("probe", "sampler", "lora_a")
            for counter in (0, 1, 1000, 2**31)
        ]
        cases.append(
            {
                "seed": seed,
                "words": noise_words(seed, 100).tolist(),
                "signs": rademacher(seed, 100).astype(int).tolist(),
                "permutation": permutation(seed, 1000).tolist(),
                "derived": derived,
            }
        )
    write_json(folder / "noise.json", cases)


def write_numbers(folder: Path) -> None:
    """json.jsonl: what msgspec makes of numbers and strings, a value a line."""
    generator = np.random.default_rng(5)
    floats = [0.0, -0.0, 1.0, 0.1, 0.03, 1e-5, 9.99e-6, 1e15, 1e16, 123456789.125, 5e-324, 1.7976931348623157e308]
    floats += [300.0]
    floats += (generator.standard_normal(500) * 10.0 ** generator.integers(-12, 20, 500)).tolist()
    floats += generator.standard_normal(200).astype(np.float32).astype(float).tolist()
    values: list[object] = [
        *floats,
        0,
        -5,
        2**53,
        "plain",
        'quote " and \\',
        "\x00\x08\t\n\x0b\x0c\r\x1f\x7f",
        "é😀",
        True,
        None,
    ]
    values += [{"a": 1, "b": [1.5, {"c": "d"}]}, [], {}]
    (folder / "json.jsonl").write_bytes(b"\n".join(msgspec.json.encode(value) for value in values) + b"\n")


def write_rows(path: Path, bundle: Bundle, data: Path) -> None:
    """The rows of ``data`` as the bundle's task encodes them."""
    task = bundle.compiled_task()
    records = []
    for row in load_split(data, task).rows:
        encoded = task.encode(row.fields)
        records.append(
            {
                "ids": encoded.ids.tolist(),
                "position": int(encoded.position),
                "truncated_tokens": encoded.truncated_tokens,
                "suffix": None if encoded.suffix is None else encoded.suffix.tolist(),
                "targets": None if encoded.targets is None else encoded.targets.tolist(),
            }
        )
    write_lines(path, records)


def write_grouped(folder: Path) -> None:
    """grouped/: a journal of four steps (two probes, a state a row), its update graph, and the states it leads to."""
    import onnx_ir as ir

    from seedtune.exporter.graphs.update import build_update
    from seedtune.exporter.passes.finish import finish

    folder.mkdir()
    layout = StateLayout(96, 4, 0, (Target("layer", "layer.lora_A.weight", 0, 24, 8, 4),))
    model = build_update(layout, groups=True)
    finish(model)
    ir.save(model, folder / "update.onnx")
    header = Header(77, layout.parameters, 3, 2, "ab" * 32, {**Settings(steps=4).as_dict()})
    generator = np.random.default_rng(9)
    with JournalWriter.create(folder / "journal.bin", header) as writer:
        for _step in range(4):
            writer.append([Record(*generator.standard_normal((3, 3)).astype(np.float32)) for _probe in range(2)])
    journal = read_journal(folder / "journal.bin")
    states = np.zeros((3, layout.parameters), np.float32)
    for seed, record in zip(journal.seeds().tolist(), journal.records, strict=True):
        states = states + record["coefficient"][:, None] * rademacher(seed, layout.parameters)
    sha256 = hashlib.sha256(states.astype("<f4").tobytes()).hexdigest()
    write_json(folder / "info.json", {"parameters": layout.parameters, "groups": 3, "state_sha256": sha256})


def write_scans(folder: Path) -> None:
    """scans/: pictures of digits searched by curve, by pattern, and one alone, each a SCAN folder; the classifiers."""
    folder.mkdir()
    images, labels = digits()
    classifier = write_classifier(folder / "net.onnx", layers_of("net"))
    for name, settings in SCANS.items():
        count = settings.pop("pictures", 40)
        np.savez(folder / "images.npz", images=images[TEST_FROM:][:count], labels=labels[TEST_FROM:][:count])
        found = seedtune.scan(
            classifier, images=folder / "images.npz", out=folder / name, threads=1, images_per_call=16, **settings
        )
        for _event in found:
            pass
    write_json(folder / "info.json", {"names": list(SCANS), "classifier": str(classifier)})


def write_memory(path: Path, bundles: Iterable[Path]) -> None:
    """What memory limits lead to, for shapes with and without contexts, from the least that works to plenty."""
    cases = []
    for folder in bundles:
        files = StageFiles.of(Bundle.open(folder))
        for shape in (
            Shape(40, 0, 0, 32 * 40, 100_000),
            Shape(4, 60, 60, 32 * 4, 4096, 60 * 1536, layer_bytes=60 * 384),
            Shape(5, 300, 305, 3 * 5, 32, 300 * 196_608, computed_contexts=True, layer_bytes=300 * 8192),
        ):
            for limit in (*range(60_000_000, 400_000_000, 7_919_000), 10**9, 10**10):
                for tokens in (None, 100):
                    try:
                        choice = msgspec.to_builtins(
                            choose(limit, files.plan, files.tensors, shape, 50_000_000, tokens)
                        )
                    except SeedTuneError:
                        choice = None
                    cases.append(
                        {
                            "bundle": str(folder),
                            "shape": list(dataclasses.astuple(shape)),
                            "limit": limit,
                            "tokens": tokens,
                            "choice": choice,
                        }
                    )
    write_json(path, cases)
