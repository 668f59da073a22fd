"""``--config``: a file is the options by hand, byte for byte of the journal, and options on the command line win."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from seedtune.runtime.cli.main import app
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.journal.file import read_journal

BY_HAND = ["--steps", "4", "--batch-size", "8", "--seed", "3", "--learning-rate", "0.05", "--epsilon", "0.02"]
MOMENTUM = ["--optimizer", "momentum", "--momentum", "0.5"]
TOML = """\
steps = 4
batch_size = 8
seed = 3
learning_rate = 0.05
epsilon = 0.02

[optimizer]
kind = "momentum"
momentum = 0.5
"""


def invoke(*arguments: object) -> SimpleNamespace:
    done = CliRunner().invoke(app, list(map(str, arguments)), env={"NO_COLOR": "1"})
    return SimpleNamespace(code=done.exit_code, error=done.exception, output=done.output)


@pytest.fixture
def tune(tiny_bundle: Path, tiny_data: SimpleNamespace, tmp_path: Path):
    """``tune(name, *options)``: the journal of a run in the folder ``name``."""

    def call(name: str, *options: object) -> bytes:
        data = ("--train", tiny_data.train, "--threads", 1)
        done = invoke("run", tiny_bundle, *data, "--out", tmp_path / name, *options)
        assert done.code == 0, (done.output, done.error)
        return (tmp_path / name / "journal.bin").read_bytes()

    return call


def test_toml_and_the_description_of_an_old_run_are_the_options_by_hand_byte_for_byte(tune, tmp_path: Path) -> None:
    by_hand = tune("hand", *BY_HAND, *MOMENTUM)
    (tmp_path / "run.toml").write_text(TOML)
    assert tune("toml", "--config", tmp_path / "run.toml") == by_hand
    assert tune("json", "--config", tmp_path / "hand" / "run.json") == by_hand
    described = [json.loads((tmp_path / name / "run.json").read_text())["settings"] for name in ("hand", "json")]
    assert described[0] == described[1]


def test_options_on_the_command_line_win(tune, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text("steps = 9\nbatch_size = 8\noptimizer.learning_rate = 0.5\nseed = 1\n")
    changed = ("--steps", 4, "--learning-rate", 0.05, "--seed", 3, "--epsilon", 0.02)
    assert tune("changed", "--config", tmp_path / "run.toml", *changed) == tune("hand", *BY_HAND)
    settings = read_journal(tmp_path / "changed" / "journal.bin").header.settings
    assert (settings["steps"], settings["optimizer.learning_rate"], settings["batch_size"]) == (4, 0.05, 8)


def test_an_option_that_says_the_default_wins_too(tune, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text("steps = 2\nbatch_size = 8\nlearning_rate = 0.5\n")
    tune("run", "--config", tmp_path / "run.toml", "--learning-rate", 0.03)
    assert read_journal(tmp_path / "run" / "journal.bin").header.settings["optimizer.learning_rate"] == 0.03


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("step = 5", "did you mean steps?"),
        ("[optimizer]\nrate = 1", "no such setting"),
        ("steps = 0", "--steps"),
        ("steps =", "cannot be read"),
        (None, "Is a directory"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_and_leaves_no_run(
    tiny_bundle: Path, tiny_data: SimpleNamespace, tmp_path: Path, content: str | None, named: str
) -> None:
    config = tmp_path / "run.toml"
    if content is None:
        config.mkdir()
    else:
        config.write_text(content)
    done = invoke("run", tiny_bundle, "--train", tiny_data.train, "--out", tmp_path / "run", "--config", config)
    assert isinstance(done.error, SeedTuneError), done.output
    assert named in str(done.error)
    assert not (tmp_path / "run" / "journal.bin").exists()


def test_a_run_is_not_gone_on_with_by_the_settings_of_another(tune, tiny_bundle: Path, tmp_path: Path) -> None:
    before = tune("run", *BY_HAND)
    (tmp_path / "run.toml").write_text("seed = 4\n")
    done = invoke("run", tiny_bundle, "--out", tmp_path / "run", "--resume", "--config", tmp_path / "run.toml")
    assert "another setting seed" in str(done.error)
    (tmp_path / "run.toml").write_text("seed = 3\n")
    again = invoke("run", tiny_bundle, "--out", tmp_path / "run", "--resume", "--config", tmp_path / "run.toml")
    assert again.code == 0, again.output
    assert (tmp_path / "run" / "journal.bin").read_bytes() == before
