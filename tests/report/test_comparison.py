"""Runs side by side, and runs of phones: the numbers, where they are read from, and a page that a browser draws."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from phone_run import add_phone
from synthetic_run import synthetic_run

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.report.comparison import write_comparison
from seedtune.runtime.report.page import write_report
from seedtune.runtime.report.phone_memory import write_memory
from seedtune.runtime.report.side_by_side import collect_runs, memory_peak, memory_series
from seedtune.runtime.report.tables import Cell, Table
from seedtune.runtime.telemetry.phone.series import read_phone_series

pytest.importorskip("plotly")
pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    """A desk's run and two of phones."""
    desk = synthetic_run(tmp_path / "desk")
    phone = add_phone(synthetic_run(tmp_path / "phone-a", steps=40), "Stand-in 8")
    other = add_phone(synthetic_run(tmp_path / "phone-b", steps=40), "Stand-in 9", scale=0.5)
    return [desk, phone, other]


def line_at(folder: Path, place: str) -> dict[str, object]:
    file, _, number = place.partition(":")
    fields = json.loads((folder / file).read_text().splitlines()[int(number) - 1])
    assert isinstance(fields, dict)
    return fields


def test_every_peak_names_the_line_that_it_is_read_from(runs: list[Path]) -> None:
    (run,) = [run for run in collect_runs(runs) if run.name == "phone-a"]
    peak = memory_peak(run.data, "RssAnon")
    assert peak is not None
    assert peak.value == 190e6
    assert line_at(runs[1], peak.place)["rss_anon_bytes"] == 190_000_000
    dumped = run.data.phone.peak("PSS, dumpsys")
    assert dumped is not None
    assert "435000" in str(line_at(runs[1], dumped.place)["text"])


def test_lines_of_the_app_and_samples_from_outside_share_a_clock_over_a_restart(runs: list[Path]) -> None:
    phone = read_phone_series(runs[1])
    app, outside = phone.series["PSS"], phone.series["PSS, dumpsys"]
    # The phone's clock went back to 30 s; the run's time did not, and the second boot follows the first.
    assert [sample.seconds for sample in app] == pytest.approx(
        [*range(20), *[19.1 + number for number in range(20)]], abs=0.2
    )
    assert [round(sample.seconds, 1) for sample in outside[:4]] == [0.1, 5.1, 10.1, 15.1]
    for sample in outside:
        near = min(app, key=lambda other: abs(other.seconds - sample.seconds))
        assert near.value / 1000 == pytest.approx(sample.value / 1024, rel=0.01)
    assert (phone.continuity.lines, phone.continuity.processes, phone.continuity.missing) == (40, 4, 0)


def test_a_damaged_line_is_named_and_left_out(runs: list[Path]) -> None:
    path = runs[1] / "telemetry-000001.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:5], '{"sequence": "\\u001b[31m"}', *lines[6:], '{"sequence": 3, "elap']) + "\n")
    phone = read_phone_series(runs[1])
    assert phone.unread == ["telemetry-000001.jsonl:6", "telemetry-000001.jsonl:41"]
    assert phone.continuity.missing == 1
    assert (runs[1] / "report.html") == write_report(runs[1])


def test_a_run_of_a_phone_shows_its_phone(runs: list[Path]) -> None:
    html = write_report(runs[1]).read_text("utf-8")
    assert "SeedTune Stand-in 8, Android 14" in html
    for name in ("phone-memory", "heat", "energy"):
        assert f'id="chart-{name}"' in html
    assert "worst thermal status" in html
    assert "moderate" in html
    assert 'href="telemetry-000001.jsonl"' in html
    assert "40 of 4 processes; 0 missing, 0 doubled" in html
    plain = write_report(runs[0]).read_text("utf-8")
    assert 'id="chart-heat"' not in plain
    assert "<h2>Phone</h2>" not in plain


def test_a_comparison_has_a_column_a_run_and_its_links_lead_to_files(runs: list[Path], tmp_path: Path) -> None:
    written = write_comparison(runs, tmp_path / "out.html")
    assert [path.suffix for path in written] == [".html", ".md", ".tex", ".csv", ".png", ".svg"]
    html = written[0].read_text("utf-8")
    assert len(html) < 3_000_000
    links = re.findall(r'<a href="([^"]+)" title="([^"]+)"', html)
    assert len(links) > 20
    for href, place in links:
        assert (tmp_path / href).is_file(), href
        assert place.startswith(Path(href).name)
    table = written[1].read_text("utf-8")
    assert "| most PSS | \N{EN DASH} | 439.0 MB | 219.5 MB |" in table
    assert (
        "| machine | Linux-6.1-x86_64, x86_64 | SeedTune Stand-in 8, Android 14 | SeedTune Stand-in 9, Android 14 |"
        in table
    )
    rows = list(csv.reader(written[3].open(newline="")))
    assert {len(row) for row in rows} == {7}
    assert written[4].read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    again = write_comparison(runs, tmp_path / "again.html")
    for first, second in zip(written[1:], again[1:], strict=True):
        assert first.read_bytes() == second.read_bytes(), first


def test_runs_of_one_name_are_told_apart_and_one_is_no_comparison(runs: list[Path], tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere" / "desk"
    shutil.copytree(runs[0], copy)
    names = [run.name for run in collect_runs([runs[0], copy])]
    assert len(set(names)) == 2
    assert names[1] == "elsewhere/desk"
    with pytest.raises(SeedTuneError, match="several runs"):
        write_comparison(runs[:1], tmp_path / "x.html")
    with pytest.raises(SeedTuneError, match="holds no run"):
        write_comparison([runs[0], tmp_path], tmp_path / "x.html")


def test_hostile_names_are_escaped_in_every_form(tmp_path: Path) -> None:
    hostile = "</script><img src=x onerror=alert(1)>$\\input{x}%_&|=1+1\x1b[31m"
    (tmp_path / "a").mkdir()
    runs = [synthetic_run(tmp_path / "a" / f"run{n}", text=hostile, name=hostile) for n in range(2)]
    written = write_comparison([add_phone(run, model=hostile) for run in runs], tmp_path / "out.html")
    html, markdown, latex = (path.read_text("utf-8") for path in written[:3])
    assert "<img" not in html
    assert "\x1b" not in html + markdown + latex
    assert r"\input" not in latex
    assert len({line.count("|") - line.count(r"\|") for line in markdown.splitlines()}) == 1
    assert "<img" not in written[5].read_text("utf-8")


def test_tables_are_quoted_as_their_forms_ask() -> None:
    table = Table(("", "a_b"), ((Cell("50 %"), Cell("=1+1", "x.jsonl:3")), (Cell("m|n"), Cell("-2.5"))))
    assert list(csv.reader(table.csv().splitlines())) == [
        ["", "a_b", "a_b: read from"],
        ["50 %", "'=1+1", "x.jsonl:3"],
        ["m|n", "-2.5", ""],
    ]
    assert r"| m\|n | -2.5 |" in table.markdown()
    assert r"50 \% & =1+1 \\" in table.latex()


def test_memory_of_several_runs_as_table_and_plot(runs: list[Path], tmp_path: Path) -> None:
    table, written = write_memory(runs, tmp_path / "table")
    assert [path.name for path in written] == [f"table.{ending}" for ending in ("csv", "md", "tex", "png", "svg")]
    peaks = {row[0].text: [cell.text for cell in row[3:]] for row in table.rows}
    assert peaks["phone-a"] == ["439.0", "190.0", "290.0", "560.0"]
    assert peaks["phone-b"][0] == "219.5"
    # The desk's is from its steps, which know no PSS.
    steps = [json.loads(line) for line in (runs[0] / "steps.jsonl").read_text().splitlines()]
    assert peaks["desk"][:2] == ["\N{EN DASH}", f"{max(step['rss_anon_bytes'] for step in steps) / 1e6:,.1f}"]
    assert len(memory_series(collect_runs(runs[:1])[0].data, "RssAnon")) == len(steps)
    empty = synthetic_run(tmp_path / "empty", steps=0)
    with pytest.raises(SeedTuneError, match="none of these runs tells of memory"):
        write_memory([empty], tmp_path / "none")


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: whether the page draws is not tested")
@pytest.mark.parametrize("several", [True, False])
def test_a_browser_draws_every_chart_offline(several: bool, runs: list[Path], tmp_path: Path) -> None:
    page = write_comparison(runs, tmp_path / "out.html")[0] if several else write_report(runs[1])
    assert page.stat().st_size < 3_000_000
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    command += ["--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=20000", "--dump-dom", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    charts = re.findall(r'<div class="chart" id="chart-([\w-]+)"', page.read_text("utf-8"))
    assert len(charts) >= 4
    for name in charts:
        drawn = re.search(
            rf'id="chart-{name}"[^>]*class="[^"]*js-plotly-plot|class="[^"]*js-plotly-plot[^>]*id="chart-{name}"',
            done.stdout,
        )
        assert drawn, (name, done.stderr[-2000:])
    assert done.stdout.count('class="main-svg"') >= len(charts)
    assert "Content Security Policy" not in done.stderr
