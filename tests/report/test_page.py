"""The page is one file that opens offline and trusts no text of the run."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from seedtune.runtime import files
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.report import rendering
from seedtune.runtime.report.page import write_report

pytest.importorskip("plotly")
pytest.importorskip("jinja2")
WriteRun = Callable[..., Path]
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)> \"' & \u202e\x07 {{ 7 * 7 }} <!--"


class Page(HTMLParser):
    """Elements with their attributes, the text outside of scripts, and the scripts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.styles = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_data(self, data: str) -> None:
        if self.cdata_elem == "script":
            attributes, text = self.scripts[-1]
            self.scripts[-1] = (attributes, text + data)
        elif self.cdata_elem == "style":
            self.styles += data
        else:
            self.text += data


def parsed(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def test_report_is_one_html_file_in_the_run_folder(write_run: WriteRun) -> None:
    folder = write_run()
    before = set(folder.iterdir())
    assert write_report(folder) == folder / "report.html"
    assert set(folder.iterdir()) - before == {folder / "report.html"}
    assert (folder / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_the_same_run_makes_the_same_bytes(write_run: WriteRun, tmp_path: Path) -> None:
    folder = write_run()
    first, second = write_report(folder, tmp_path / "a.html"), write_report(folder, tmp_path / "b.html")
    assert first.read_bytes() == second.read_bytes()


def test_report_opens_without_any_external_url(write_run: WriteRun) -> None:
    html = parsed(write_report(write_run()))
    for tag, attributes in html.elements:
        for name in ("src", "href", "srcset", "data", "action", "poster"):
            assert (attributes.get(name) or "data:").startswith("data:"), (tag, attributes)
    assert "url(" not in html.styles
    assert "@import" not in html.styles
    # Plotly names tile servers that it never asks for these charts; the policy forbids it to in any case.
    assert policy(html).startswith("default-src 'none';")
    assert "http" not in policy(html)


def policy(html: Page) -> str:
    return next(str(a["content"]) for _, a in html.elements if a.get("http-equiv") == "Content-Security-Policy")


def test_only_the_two_scripts_named_by_the_policy_run_and_plotly_is_embedded_once(
    write_run: WriteRun,
) -> None:
    html = parsed(write_report(write_run()))
    code = [text for attributes, text in html.scripts if "type" not in attributes]
    packed = [text for attributes, text in html.scripts if attributes.get("type") == "application/gzip"]
    assert (len(code), len(packed)) == (1, 1)
    library = gzip.decompress(base64.b64decode(packed[0])).decode()
    assert "plotly.js v" in library[:1000]
    code = [library, *code]
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in code]
    assert re.findall(r"'sha256-([^']+)'", policy(html)) == hashes
    assert "'unsafe-inline'" not in policy(html).split("script-src")[1].split(";")[0]


def test_hostile_text_is_escaped(write_run: WriteRun) -> None:
    html = parsed(write_report(write_run(text=HOSTILE, held_out=40)))
    tags = [tag for tag, _ in html.elements]
    assert "img" not in tags
    assert len(html.scripts) == 3
    assert not any("alert(1)" in text for _, text in html.scripts)
    assert not any(name.startswith("on") for _, attributes in html.elements for name in attributes)
    assert "<img src=x onerror=alert(2)>" in html.text
    assert "{{ 7 * 7 }}" in html.text
    assert "\x07" not in html.text


def test_embedded_json_cannot_end_its_script() -> None:
    text = rendering.script_json({"a": "</script><!--\u2028&"})
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == {"a": "</script><!--\u2028&"}


def test_chart_data_is_plain_json_with_every_chart(write_run: WriteRun) -> None:
    html = parsed(write_report(write_run()))
    data = next(text for attributes, text in html.scripts if attributes.get("type") == "application/json")
    assert set(json.loads(data)) == {"loss", "accuracy", "memory", "time", "gradient"}
    assert {a["id"] for _, a in html.elements if a.get("class") == "chart"} == {
        f"chart-{name}" for name in json.loads(data)
    }


def test_headline_settings_and_hashes_are_on_the_page(write_run: WriteRun) -> None:
    text = parsed(write_report(write_run())).text
    for expected in (
        "Accuracy before",
        "McNemar",
        "231 MB",
        "3 min 32 s",
        "batch size",
        "0123456789abcdef" * 4,
    ):
        assert expected in text
    assert "unfinished" not in text


def test_an_unfinished_run_without_evaluations_says_so_and_has_no_such_parts(write_run: WriteRun) -> None:
    text = parsed(write_report(write_run(held_out=0, finished=False))).text
    assert "unfinished" in text
    assert "Accuracy" not in text
    assert "Confusion" not in text
    assert "prediction changed" not in text


def test_a_run_killed_before_its_first_step_has_a_page_without_scripts(write_run: WriteRun) -> None:
    html = parsed(write_report(write_run(steps=0, held_out=0, finished=False)))
    assert html.scripts == []
    assert "script-src 'none'" in policy(html)


def test_a_diverged_run_still_has_a_page(write_run: WriteRun) -> None:
    folder = write_run(steps=5)
    log = folder / "steps.jsonl"
    lost = {"loss": None, "loss_plus": None, "projected_gradient": None, "coefficient": None}
    records = [json.loads(line) | lost for line in log.read_text().splitlines()]
    log.write_text("".join(json.dumps(record) + "\n" for record in records))
    assert "The loss of 5 steps was not finite" in parsed(write_report(folder)).text


def test_a_long_row_is_cut() -> None:
    assert len(rendering.clean_text("x" * 100_000)) < 1000


@pytest.mark.parametrize("name", ["plotly", "jinja2"])
def test_a_missing_library_names_the_extra(write_run: WriteRun, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for module in [m for m in sys.modules if m.partition(".")[0] == name]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(sys, "meta_path", [Refuse(name), *sys.meta_path])
    with pytest.raises(SeedTuneError, match=f"needs {name}") as caught:
        write_report(write_run())
    assert caught.value.remedy == 'pip install "seedtune[report]"'


class Refuse:
    """An importer that knows no module of one library."""

    def __init__(self, name: str) -> None:
        self.name = name

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.partition(".")[0] == self.name:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def test_importing_the_report_imports_neither_library() -> None:
    import subprocess

    code = "import sys, seedtune.runtime.report.page; print({'plotly', 'jinja2'} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "set()\n"


def test_a_failed_write_keeps_the_old_report_and_no_temporary_file(
    write_run: WriteRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_run()
    (folder / "report.html").write_text("old")
    before = set(folder.iterdir())

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(SeedTuneError, match="No space left"):
        write_report(folder)
    assert (folder / "report.html").read_text() == "old"
    assert set(folder.iterdir()) == before


def test_a_folder_or_a_missing_folder_as_target_is_refused(write_run: WriteRun, tmp_path: Path) -> None:
    folder = write_run()
    with pytest.raises(SeedTuneError, match="this is a folder"):
        write_report(folder, tmp_path)
    with pytest.raises(SeedTuneError, match="cannot be written"):
        write_report(folder, tmp_path / "absent" / "report.html")
