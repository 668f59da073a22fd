"""The settings of a run on the command line: each is there with bounds and default, and held to them by name."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from seedtune.runtime.cli.main import app
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.estimators.settings import ESTIMATORS
from seedtune.runtime.run.options import Option, options_of, word_of
from seedtune.runtime.run.settings import Settings

OPTIONS = options_of(Settings)
NUMBERS = [option for option in OPTIONS if option.kind is not str]
WORDS = [option for option in OPTIONS if option.choices]


def written(value: object) -> str:
    """As on a command line."""
    return str(value).replace("_", "-")


@pytest.fixture(scope="module")
def help_text() -> str:
    """``seedtune run --help`` as one line, without the frame."""
    done = CliRunner().invoke(app, ["run", "--help"], env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"})
    assert done.exit_code == 0
    return re.sub(r"[\s│]+", " ", done.output)


def of_option(help_text: str, option: Option) -> str:
    """What stands behind an option, up to the next one."""
    return re.split(r" --[a-z-]+ ", help_text.split(f" {option.flag} ")[-1])[0]


def test_the_options_are_those_of_a_run_and_of_its_parts() -> None:
    names = [option.name for option in OPTIONS]
    assert len(names) == len(set(names))
    for kinds in ({"optimizer": "momentum"}, *({"estimator": word_of(kind)} for kind in ESTIMATORS)):
        for name in Settings().changed(kinds).as_dict():
            part, _, field = name.partition(".")
            assert (part if field in ("", "kind") else field) in names
    of_probes = ("normalised", "momentum")
    assert {option.name: option.of for option in OPTIONS if option.of} == {
        "epsilon": ("two_sided", "gauss_newton", "one_sided"),
        "objective": ("two_sided",),
        "directions": ("gauss_newton", "one_sided"),
        "average": ("normalised", "momentum", "standardised", "damped"),
        "rms_decay": of_probes,
        "clip": of_probes,
        "momentum": ("momentum",),
        **dict.fromkeys(("beta1", "beta2", "weight_decay", "clip_norm"), ("adamw",)),
    }


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_option_is_in_the_help_with_description_bounds_and_default(help_text: str, option: Option) -> None:
    told = of_option(help_text, option)
    assert option.description in told
    assert option.description
    assert f"default: {written(option.default)}" in told
    for word in option.choices:
        assert written(word) in told
    assert bool(option.bounds) == (option.kind is not str)
    assert option.bounds in told


def test_defaults_are_those_of_a_run_without_options() -> None:
    # Of a name that several kinds have, the default is that of a run without options.
    recorded: dict[str, object] = {}
    for kinds in ({"estimator": "gradient"}, {"estimator": "gauss-newton"}, {"optimizer": "momentum"}, {}):
        flat = Settings().changed(kinds).as_dict()
        recorded |= {name.rpartition(".")[2]: value for name, value in flat.items() if not name.endswith(".kind")}
    for option in OPTIONS:
        if not option.choices or option.name == "schedule":
            assert recorded[option.name] == option.default


def beyond(option: Option) -> list[str]:
    """Values just outside of each bound of a number, and what is no number of its kind."""
    found = {"int": ["1.5", "many"], "float": ["nan", "inf", "fast"]}[option.kind.__name__]
    for sign, limit in re.findall(r"(>=|>|<=|<) (\S+)", option.bounds):
        step = {">=": -1, ">": 0, "<=": 1, "<": 0}[sign]
        found.append(str(option.kind(limit) + step))
    assert len(found) > len(option.bounds.split(" and "))
    return found


@pytest.mark.parametrize(
    ("option", "value"),
    [(option, value) for option in NUMBERS for value in beyond(option)],
    ids=lambda value: value.name if isinstance(value, Option) else value,
)
def test_a_number_out_of_range_is_refused_by_the_name_of_its_option(
    tiny_bundle: Path, tiny_data: SimpleNamespace, tmp_path: Path, option: Option, value: str
) -> None:
    first = "".join(option.of[:1])
    of_estimator = first in map(word_of, ESTIMATORS)
    kind = {"": [], "adamw": ["--estimator", "gradient"]}.get(
        first, ["--estimator" if of_estimator else "--optimizer", first.replace("_", "-")]
    )
    arguments = ["run", tiny_bundle, "--train", tiny_data.train, "--out", tmp_path / "run", *kind]
    done = CliRunner().invoke(app, [*map(str, arguments), f"{option.flag}={value}"], env={"NO_COLOR": "1"})
    told = str(done.exception) if isinstance(done.exception, SeedTuneError) else done.output
    assert done.exit_code in (1, 2)
    assert isinstance(done.exception, SeedTuneError | SystemExit), done.exception
    assert option.flag in told
    assert not (tmp_path / "run" / "journal.bin").exists()


@pytest.mark.parametrize("option", WORDS, ids=lambda option: option.name)
def test_a_word_that_there_is_not_is_refused_with_those_that_there_are(
    tiny_bundle: Path, tiny_data: SimpleNamespace, tmp_path: Path, option: Option
) -> None:
    arguments = ["run", tiny_bundle, "--train", tiny_data.train, "--out", tmp_path / "run", option.flag, "best"]
    done = CliRunner().invoke(app, list(map(str, arguments)), env={"NO_COLOR": "1", "COLUMNS": "200"})
    assert done.exit_code == 2
    assert option.flag in done.output
    assert all(written(word) in done.output for word in option.choices)


def test_an_option_of_another_optimizer_is_refused_and_says_which_has_it(
    tiny_bundle: Path, tiny_data: SimpleNamespace, tmp_path: Path
) -> None:
    arguments = ["run", tiny_bundle, "--train", tiny_data.train, "--out", tmp_path / "run", "--momentum", 0.5]
    done = CliRunner().invoke(app, list(map(str, arguments)))
    assert isinstance(done.exception, SeedTuneError)
    assert "--momentum belongs to another optimizer" in str(done.exception)
    assert "--optimizer momentum" in str(done.exception.remedy)
