"""Sizes as they are written on a command line."""

from __future__ import annotations

import typing

import pytest

from seedtune.runtime.cli.options import DataFormatOption
from seedtune.runtime.data.source import FORMATS
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.sizes import size_bytes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("123", 123),
        ("0B", 0),
        ("500M", 500 * 1000**2),
        ("500m", 500 * 1000**2),
        ("500MB", 500 * 1000**2),
        ("2G", 2 * 1000**3),
        ("2Gi", 2 * 1024**3),
        ("2GiB", 2 * 1024**3),
        ("2gib", 2 * 1024**3),
        ("1.5K", 1500),
        ("1.5Ki", 1536),
        ("1T", 1000**4),
        ("1Ti", 1024**4),
        (" 3 M ", 3_000_000),
        ("0.0001K", 0),
    ],
)
def test_a_size_is_a_number_and_a_unit(text: str, expected: int) -> None:
    assert size_bytes(text, "--cache-limit") == expected


@pytest.mark.parametrize(
    "text",
    ["", " ", "G", "1X", "-1", "-1G", "1e3", "1,5G", "1.G", ".5G", "5i", "5iB", "1GG", "0x10", "inf", "nan", "1 G x"],
)
def test_what_is_no_size_is_refused_and_says_what_is(text: str) -> None:
    with pytest.raises(SeedTuneError, match="--cache-limit is not a size") as caught:
        size_bytes(text, "--cache-limit")
    assert repr(text) in str(caught.value)
    assert "500M" in str(caught.value)


def test_a_number_beyond_all_sizes_is_refused_too() -> None:
    with pytest.raises(SeedTuneError, match="--cache-limit"):
        size_bytes("9" * 400, "--cache-limit")


def test_the_option_offers_every_format_of_data() -> None:
    offered, nothing = typing.get_args(typing.get_args(DataFormatOption)[0])
    assert typing.get_args(offered) == tuple(FORMATS)
    assert nothing is type(None)
