"""What the fuzzer found in readers, by kind, each as plain as it can be said."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import msgspec
import pytest

from fuzz import made_up
from fuzz.targets import journal
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.errors import SeedTuneError, shown
from seedtune.runtime.journal.file import read_journal
from seedtune.runtime.run.config_file import read_config, read_settings
from seedtune.runtime.run.folder import recorded_settings
from seedtune.runtime.run.settings import Settings
from seedtune.runtime.stages.tensors import read_header
from seedtune.runtime.task.definition import load_task
from seedtune.runtime.telemetry.records import EvaluationRecord, RunDescription, StepRecord
from seedtune.runtime.telemetry.run_files import read_description
from seedtune.runtime.telemetry.steplog import read_json_lines

NESTED = "[" * 100_000 + "]" * 100_000


@pytest.fixture
def bundle(tmp_path: Path) -> Callable[..., Path]:
    """``bundle(NAME=bytes)``: a made-up bundle with other files, listed as they are."""

    def give(change: Callable[[dict], object] = lambda _manifest: None, **other: bytes) -> Path:
        files = made_up.bundle() | {name.replace("_", "."): raw for name, raw in other.items()}
        manifest = made_up.sealed(json.loads(files["manifest.json"]), files)
        change(manifest)
        files["manifest.json"] = json.dumps(manifest).encode()
        for name, raw in files.items():
            (tmp_path / name).write_bytes(raw)
        return tmp_path

    return give


def refused(read: Callable[[], object], file: Path) -> str:
    """What is said of ``file``."""
    with pytest.raises(SeedTuneError) as caught:
        read()
    assert str(file) in str(caught.value)
    assert caught.value.remedy
    return str(caught.value)


def test_json_and_toml_that_are_nested_without_an_end_are_refused(bundle: Callable[..., Path], tmp_path: Path) -> None:
    folder = bundle(stages_json=NESTED.encode())
    refused(lambda: Bundle.open(folder), folder / "stages.json")
    (folder / "manifest.json").write_text(NESTED)
    refused(lambda: Bundle.open(folder), folder / "manifest.json")
    file = tmp_path / "journal.bin"
    file.write_bytes(journal.sealed(NESTED.encode(), []))
    refused(lambda: read_journal(file), file)
    file = tmp_path / "task.toml"
    file.write_text(f"name = {NESTED}")
    refused(lambda: load_task(str(file)), file)
    file = tmp_path / "settings.toml"
    file.write_text(".".join("a" * 3_000) + " = 1")
    refused(lambda: read_settings(file, {}), file)


@pytest.mark.parametrize("name", ["manifest.json", "journal.bin", "run.json", "steps.jsonl"])
def test_a_pipe_or_a_device_in_the_place_of_a_file_is_not_waited_for(name: str, tmp_path: Path) -> None:
    readers = {
        "manifest.json": lambda: Bundle.open(tmp_path),
        "journal.bin": lambda: read_journal(tmp_path / name),
        "run.json": lambda: read_description(tmp_path),
        "steps.jsonl": lambda: read_json_lines(tmp_path / name, StepRecord),
    }
    os.mkfifo(tmp_path / name)
    refused(readers[name], tmp_path)
    (tmp_path / name).unlink()
    (tmp_path / name).symlink_to("/dev/zero")
    refused(readers[name], tmp_path)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("objective", "model", "padding_id"), made_up.VOCABULARY),
        (("objective", "model", "vocabulary_size"), 10**30),
        (("objective", "label_word_ids", 0), -1),
        (("objective", "task", "max_characters"), 2**31),
        (("state", "parameters"), 2**40),
        (("state", "adapter_seed"), -1),
        (("state", "targets", 0, "in_features"), 0),
    ],
)
def test_numbers_of_a_manifest_that_no_bundle_has_are_refused(
    bundle: Callable[..., Path], place: tuple, value: int
) -> None:
    def change(manifest: dict) -> None:
        *parents, last = place
        for name in parents:
            manifest = manifest[name]
        manifest[last] = value

    folder = bundle(change)
    refused(lambda: Bundle.open(folder), folder / "manifest.json")


@pytest.mark.parametrize(
    ("name", "entry"),
    [
        ("negative", {"dtype": "F32", "shape": [-2, -2], "data_offsets": [0, 16]}),
        ("text", {"dtype": "U8", "shape": "12", "data_offsets": [0, 2]}),
        ("fraction", {"dtype": "U8", "shape": [2.5], "data_offsets": [0, 2]}),
        ("packed", {"dtype": "U8", "shape": [], "data_offsets": [0, 1]}),
        ("packed", {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}),
    ],
)
def test_a_header_of_weights_says_shapes_as_whole_numbers_from_0(tmp_path: Path, name: str, entry: dict) -> None:
    file = tmp_path / "weights.safetensors"
    file.write_bytes(made_up.safetensors(json.dumps({name: entry}).encode(), bytes(64)))
    refused(lambda: read_header(file, frozenset({"packed"})), file)


@pytest.mark.parametrize(
    "change",
    [
        lambda plan: plan["graphs"].pop("eval"),
        lambda plan: plan["memory"].pop("eval"),
        lambda plan: plan["graphs"].update(probe=[]),
        lambda plan: plan["graphs"]["probe"][1]["layers"].update(k=["keys", 2]),
        lambda plan: plan["graphs"]["probe"][1]["numbers"]["slice"].update(values=[1]),
        lambda plan: plan["memory"]["probe"]["held"].update(token=-1.0),
        lambda plan: plan["packed"].append("nothing"),
    ],
)
def test_stages_that_do_not_fit_the_bundle_are_refused(
    bundle: Callable[..., Path], change: Callable[[dict], object]
) -> None:
    plan = json.loads(json.dumps(made_up.plan()))
    change(plan)
    folder = bundle(stages_json=json.dumps(plan).encode())
    refused(lambda: Bundle.open(folder), folder / "stages.json")


def test_ids_that_take_all_memory_or_belong_to_two_tokens_are_refused(bundle: Callable[..., Path]) -> None:
    whole = json.loads(made_up.bundle()["tokenizer.json"])
    for change in ({"*": 2**31}, {"*": whole["model"]["vocab"]["+"]}):
        spoilt = json.loads(json.dumps(whole))
        spoilt["model"]["vocab"] |= change
        folder = bundle(tokenizer_json=json.dumps(spoilt).encode())
        opened = Bundle.open(folder)
        said = refused(opened.compiled_task, folder / "tokenizer.json")
        assert "numbers its tokens" in said


@pytest.mark.parametrize("seed", [-1, 2**32, 10**30])
def test_a_seed_beyond_32_bits_is_refused_in_a_journal(tmp_path: Path, seed: int) -> None:
    file = tmp_path / "journal.bin"
    file.write_bytes(journal.sealed(json.dumps(journal.header() | {"run_seed": seed}).encode(), []))
    assert "out of range" in refused(lambda: read_journal(file), file)


@pytest.mark.parametrize(
    "text",
    [
        "out = 'elsewhere'",
        "learning_rate = true",
        f"learning_rate = {10**400}",
        f"steps = 0x{'f' * 5000}",
        "steps = 0",
        f"optimizer = 0x{'f' * 5000}",
        "momentum = 0.5",
        "[estimator]\nepsilon = {}",
        "learning_rate = 0.1\n[optimizer]\nlearning_rate = 0.2",
    ],
)
def test_an_error_in_the_file_of_settings_names_it(tmp_path: Path, text: str) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(text)
    refused(lambda: read_settings(file, {}), file)


@pytest.mark.parametrize("name", ["steps", "batch_size", "eval_every", "rows_per_call"])
@pytest.mark.parametrize("value", [2**63, 2**64, -1])
def test_a_number_that_no_run_can_have_is_refused_by_the_file_of_the_run(tmp_path: Path, name: str, value: int) -> None:
    description = cast(RunDescription, SimpleNamespace(settings=Settings().as_dict() | {name: value}))
    said = refused(lambda: recorded_settings(description, tmp_path), tmp_path / "run.json")
    assert str(value) in said


def test_a_line_whose_unread_field_is_no_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "evaluations.jsonl"
    line = msgspec.json.encode(EvaluationRecord(step=1, accuracy=0.5, loss=0.5, examples=4, seconds=1.0, best=True))
    file.write_bytes(line[:-1] + b',"later\xf4":1}\n' + line + b"\n")
    assert "evaluations.jsonl:1" in refused(lambda: read_json_lines(file, EvaluationRecord), file)


def test_settings_that_json_says_twice_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    file.write_text('{"steps": 3, "steps": 4}')
    assert "twice" in refused(lambda: read_config(file), file)


def test_a_kind_on_the_command_line_goes_with_its_settings_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("momentum = 0.5")
    given = read_settings(file, {"optimizer": "momentum"})
    assert Settings().changed(given | {"optimizer": "momentum"}).as_dict()["optimizer.momentum"] == 0.5
    # A resumed run may have been begun with it.
    assert read_settings(file, {}, resume=True) == {"momentum": 0.5}


def test_a_value_that_python_cannot_spell_is_shown_by_its_type() -> None:
    nested: list = []
    for _ in range(100_000):
        nested = [nested]
    assert shown(nested) == "a list too large to be shown"
    assert shown(10**5000) == "a int too large to be shown"
