"""`seedtune scan` and `seedtune report` as they are typed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace

from typer.testing import CliRunner

from seedtune.runtime.cli.main import app


def words_of(lab: SimpleNamespace, out: Path, queries: int, first: int) -> list[str]:
    words = ["scan", lab.classifier, "--images", lab.images, "--out", out, "--queries", queries, "--first", first]
    return list(map(str, words))


def test_a_scan_is_made_told_and_shown(lab: SimpleNamespace, tmp_path: Path) -> None:
    runner, out = CliRunner(), tmp_path / "scan"
    done = runner.invoke(
        app, [*words_of(lab, out, 40, 50), "--transfer", str(lab.classifier), "--json"], env={"NO_COLOR": "1"}
    )
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout.splitlines()[-1])["result"]
    assert result == json.loads((out / "result.json").read_text())
    (other,) = result["transfer"]
    assert other["fooled"] == other["right"] == result["found"] > 20
    assert f"another answer for {result['found']} of {result['images']} pictures" in done.stderr
    assert "random search with as many queries" in done.stderr
    shown = runner.invoke(app, ["report", str(out), "--json"])
    assert shown.exit_code == 0, shown.output
    assert json.loads(shown.stdout.splitlines()[-1])["size_bytes"] < 3_000_000
    page = (out / "report.html").read_text("utf-8")
    assert page.count("data:image/png;base64,") == 2 * result["found"]
    assert not re.search(r"(src|href)=\"https?:", page)


def test_a_name_of_a_picture_is_text_on_the_page(lab: SimpleNamespace, tmp_path: Path) -> None:
    out = tmp_path / "scan"
    assert CliRunner().invoke(app, words_of(lab, out, 40, 30)).exit_code == 0
    lines = (out / "scan.jsonl").read_text().replace('"name":"', '"name":"<script>alert(1)</script>')
    (out / "scan.jsonl").write_text(lines)
    assert CliRunner().invoke(app, ["report", str(out)]).exit_code == 0
    assert "<script>alert" not in (out / "report.html").read_text("utf-8")


def test_a_damaged_scan_is_refused_by_file(lab: SimpleNamespace, tmp_path: Path) -> None:
    out = tmp_path / "scan"
    assert CliRunner().invoke(app, words_of(lab, out, 20, 30)).exit_code == 0
    (out / "pictures.npz").write_bytes(b"none")
    done = CliRunner().invoke(app, ["report", str(out)])
    assert done.exit_code != 0
    assert "pictures.npz" in str(done.exception)
