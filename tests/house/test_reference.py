"""The reference is what the code says: commands, options, and the names of the Python interface."""

from __future__ import annotations

from pathlib import Path

from lab.reference_pages import cli_page, python_page
from seedtune.runtime.run.options import options_of
from seedtune.runtime.run.settings import Settings

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
REMEDY = "run: python scripts/make_reference"


def test_the_page_of_the_command_line_is_made_from_it() -> None:
    assert (REFERENCE / "cli.md").read_text("utf-8") == cli_page(), REMEDY


def test_the_page_of_the_python_interface_is_made_from_it() -> None:
    assert (REFERENCE / "python.md").read_text("utf-8") == python_page(), REMEDY


def test_every_setting_stands_in_the_reference_with_its_description() -> None:
    page = (REFERENCE / "cli.md").read_text("utf-8")
    for option in options_of(Settings):
        assert f"| `{option.flag}` | {option.description}" in page
