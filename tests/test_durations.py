"""Durations as they are given: every spelling that is taken comes to its seconds, everything else is refused."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedtune.runtime.durations import duration_seconds
from seedtune.runtime.errors import SeedTuneError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("90", 90),
        (90, 90),
        (1.5, 1.5),
        (1e-6, 1e-6),
        ("10m", 600),
        ("10 min", 600),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("1 m 2", 62),
    ],
)
def test_a_duration_is_its_seconds(text: float | str, seconds: float) -> None:
    assert duration_seconds(text, "--budget") == seconds


@given(st.integers(0, 99), st.integers(0, 59), st.integers(1, 59))
def test_hours_minutes_and_seconds_add_up(hours: int, minutes: int, seconds: int) -> None:
    assert duration_seconds(f"{hours}h{minutes}m{seconds}s", "--budget") == 3600 * hours + 60 * minutes + seconds
    assert duration_seconds(f" {hours}H {minutes}M {seconds}S ", "--budget") == 3600 * hours + 60 * minutes + seconds


@pytest.mark.parametrize(
    "text",
    [
        "banana",
        "",
        " ",
        "0",
        "0s",
        "0h0m0s",
        "-5m",
        "10d",
        "5m1h",
        "m",
        "nan",
        "inf",
        "1e400",
        math.nan,
        math.inf,
        0,
        -3,
    ],
)
def test_what_is_no_duration_is_refused_by_the_name_of_its_option(text: float | str) -> None:
    with pytest.raises(SeedTuneError, match="--budget is not a duration") as caught:
        duration_seconds(text, "--budget")
    assert "10m" in str(caught.value.rule)
