"""Settings in a file: TOML in any of its spellings and run.json say the same, and what is no setting is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.run.config_file import read_config
from seedtune.runtime.run.settings import Settings, settings_of

TABLES = """\
steps = 40
seed = 7

[optimizer]
kind = "momentum"
learning_rate = 0.5
momentum = 0.75

[estimator]
epsilon = 0.02
"""
DOTTED = """\
steps = 40
seed = 7
optimizer.kind = "momentum"
optimizer.learning_rate = 0.5
optimizer.momentum = 0.75
estimator.epsilon = 0.02
"""
AS_OPTIONS = """\
steps = 40
seed = 7
optimizer = "momentum"
learning_rate = 0.5
momentum = 0.75
epsilon = 0.02
"""
INLINE = 'steps = 40\nseed = 7\noptimizer = {kind = "momentum", learning_rate = 0.5, momentum = 0.75}\nepsilon = 0.02\n'
EXPECTED = {
    "steps": 40,
    "batch_size": 0,
    "seed": 7,
    "eval_every": 50,
    "rows_per_call": 1024,
    "start": "linear-probe",
    "estimator.kind": "two_sided",
    "estimator.epsilon": 0.02,
    "estimator.objective": "loss",
    "optimizer.kind": "momentum",
    "optimizer.learning_rate": 0.5,
    "optimizer.schedule": "linear",
    "optimizer.rms_decay": 0.98,
    "optimizer.clip": 3.0,
    "optimizer.momentum": 0.75,
    "optimizer.average": 0.0,
}


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("content", [TABLES, DOTTED, AS_OPTIONS, INLINE, "\ufeff" + TABLES])
def test_tables_dotted_names_and_names_of_options_say_the_same(tmp_path: Path, content: str) -> None:
    found = Settings().changed(read_config(written(tmp_path / "run.toml", content))).as_dict()
    assert found == EXPECTED
    assert list(found) == list(EXPECTED)


@pytest.mark.parametrize("content", [EXPECTED, {"format_version": 1, "settings": EXPECTED, "machine": {"cores": 2}}])
def test_json_is_the_settings_or_the_description_of_a_run(tmp_path: Path, content: dict) -> None:
    for name in ("run.json", "other.JSON"):
        found = Settings().changed(read_config(written(tmp_path / name, json.dumps(content))))
        assert found.as_dict() == EXPECTED


def test_what_is_recorded_is_read_back_as_the_same_settings() -> None:
    for options in ({}, {"optimizer": "momentum", "momentum": 0.5}, {"schedule": "cosine", "batch_size": 4}):
        settings = Settings().changed(options)
        assert settings_of(settings.as_dict()) == settings
        assert Settings().changed(settings.as_dict()) == settings


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    assert read_config(written(tmp_path / "run.toml", "# nothing yet\n")) == {}


@pytest.mark.parametrize(
    ("content", "name", "guess"),
    [
        ("step = 5", "step", "steps"),
        ("learning-rate = 0.1", "learning-rate", "learning_rate"),
        ("colour = 'red'", "colour", None),
        ("[optimiser]\nkind = 'momentum'", "optimiser.kind", "optimizer"),
        ("[optimiser]\nmomentum = 0.5", "optimiser.momentum", "optimizer.momentum"),
        ("[estimator]\nlearning_rate = 0.5", "estimator.learning_rate", "optimizer.learning_rate"),
        ("[optimizer]\nepsilon = 0.5", "optimizer.epsilon", "optimizer"),
        ("[run]\nsteps = 5", "run.steps", "steps"),
        ("[settings]\nsteps = 5", "settings.steps", None),
        ("[optimizer.deep]\nmomentum = 0.5", "optimizer.deep.momentum", "optimizer.momentum"),
        ("steps.kind = 5", "steps.kind", "steps"),
    ],
)
def test_a_name_that_is_no_setting_is_refused_with_a_guess(
    tmp_path: Path, content: str, name: str, guess: str | None
) -> None:
    with pytest.raises(SeedTuneError, match="no such setting") as caught:
        Settings().changed(read_config(written(tmp_path / "run.toml", content)))
    assert caught.value.value == name
    assert (f"did you mean {guess}" in str(caught.value.remedy)) if guess else caught.value.remedy == "leave it out"


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("steps = 0", "--steps"),
        ("steps = '40'", "--steps"),
        ("steps = [1]", "--steps"),
        ("steps = true", "--steps"),
        ("steps = 1979-05-27", "--steps"),
        ("seed = 4294967296", "--seed"),
        ("learning_rate = nan", "--learning-rate"),
        ("learning_rate = inf", "--learning-rate"),
        ("optimizer.momentum = 1.0\noptimizer.kind = 'momentum'", "--momentum"),
        ("optimizer.momentum = 0.5", "--momentum belongs to another optimizer"),
        ("optimizer.rms_decay = 1", "--rms-decay"),
        ("schedule = 3", "--schedule"),
        ("optimizer.kind = 'momentun'", "momentun"),
        ("estimator = 4", "4"),
    ],
)
def test_a_value_that_no_run_has_is_refused_by_its_name(tmp_path: Path, content: str, named: str) -> None:
    with pytest.raises(SeedTuneError) as caught:
        Settings().changed(read_config(written(tmp_path / "run.toml", content)))
    assert named in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("run.toml", "steps = "),
        ("run.toml", "steps = 1\nsteps = 2"),
        ("run.toml", b"steps = 1 # \xff"),
        ("run.toml", "steps = " + "[" * 100_000),
        ("run.toml", '{"steps": 1}'),
        ("run.json", "steps = 1"),
        ("run.json", ""),
        ("run.json", "[" * 100_000),
        ("run.json", "\x00"),
        ("run.txt", '{"settings": {"steps": 1}}'),
    ],
)
def test_a_broken_file_is_refused_with_what_there_may_be(tmp_path: Path, name: str, content: str | bytes) -> None:
    with pytest.raises(SeedTuneError, match="cannot be read") as caught:
        read_config(written(tmp_path / name, content))
    assert caught.value.file == str(tmp_path / name)
    assert "TOML" in str(caught.value.rule)
    assert "run.json" in str(caught.value.rule)


@pytest.mark.parametrize("content", ["[]", "3", "null", '"steps"'])
def test_json_that_has_no_names_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(SeedTuneError, match="no settings"):
        read_config(written(tmp_path / "run.json", content))


@pytest.mark.parametrize("name", ["gone.toml", "folder", "folder.json"])
def test_a_path_that_is_no_file_is_refused(tmp_path: Path, name: str) -> None:
    if name.startswith("folder"):
        (tmp_path / name).mkdir()
    with pytest.raises(SeedTuneError, match="cannot be read") as caught:
        read_config(tmp_path / name)
    assert caught.value.file == str(tmp_path / name)
