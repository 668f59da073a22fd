"""A model card: YAML that the hub's own library reads, figures of the run, and no path of anybody's machine."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub import ModelCard
from typer.testing import CliRunner

import seedtune
from seedtune.runtime.cli.main import app
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.report.card import model_card
from seedtune.runtime.report.collect import collect

pytestmark = pytest.mark.traced


@pytest.fixture(scope="module")
def run(tiny_bundle: Path, tiny_data: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("card") / "run"
    with seedtune.open(tiny_bundle, threads=1) as model:
        for _ in model.tune(tiny_data.train, tiny_data.eval, out=out, steps=4, batch_size=8, eval_every=2, seed=5):
            pass
    return out


def test_the_hubs_library_reads_the_card_and_its_figures_are_those_of_the_run(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    done = CliRunner().invoke(app, ["card", str(run), "--out", str(path), "--license", "apache-2.0", "--json"])
    assert done.exit_code == 0, done.output
    card = ModelCard(path.read_text("utf-8"))
    about = card.data.to_dict()
    assert (about["license"], about["pipeline_tag"]) == ("apache-2.0", "text-classification")
    result = json.loads((run / "result.json").read_text())
    best = [json.loads(line) for line in (run / "evaluations.jsonl").read_text().splitlines()]
    accuracy = [each for each in best if each["best"]][-1]["accuracy"]
    (found,) = about["model-index"][0]["results"][0]["metrics"]
    assert found["value"] == pytest.approx(accuracy, abs=1e-4)
    assert result["state_sha256"] in card.text
    described = json.loads((run / "run.json").read_text())
    assert described["data"]["train"]["sha256"] in card.text
    assert described["data"]["train"]["path"] not in card.text
    assert f"{accuracy:.1%}" in card.text


def test_names_cannot_become_markup_or_fields(run: Path, tmp_path: Path) -> None:
    described = json.loads((run / "run.json").read_text())
    described["task"]["name"] = 'x"\n---\nlicense: mit\n<script>|'
    for name in ("result.json", "evaluations.jsonl"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    (tmp_path / "run.json").write_text(json.dumps(described))
    card = ModelCard(model_card(collect(tmp_path)))
    assert card.data.to_dict()["license"] == "other"
    assert "<script>" not in card.text.replace("\\<script\\>", "")


def test_a_run_that_has_not_ended_has_no_card(run: Path, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes((run / "run.json").read_bytes())
    with pytest.raises(SeedTuneError, match="has not ended"):
        model_card(collect(tmp_path))
