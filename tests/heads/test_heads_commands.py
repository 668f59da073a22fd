"""The commands over a bundle of heads: what works as for a language model, and what is refused by name."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from heads_lab import digits, robust, saved

import seedtune as package
from seedtune.runtime.bundle.manifest import decode_manifest

Command = Callable[..., "subprocess.CompletedProcess[str]"]
FEW = ("--steps", 4, "--batch-size", 16, "--eval-every", 2, "--threads", 1)


def test_features_become_a_run_that_is_evaluated_reported_replayed_and_verified(
    seedtune: Command, tmp_path: Path
) -> None:
    saved(tmp_path / "features.npz", digits(200))
    bundle, run = tmp_path / "bundle", tmp_path / "run"
    made = seedtune("export", tmp_path, "--objective", "contrastive", "--negatives", 20, "--out", bundle, "--json")
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["state_parameters"] == 4096
    done = seedtune("run", bundle, "--out", run, "--resume", *FEW, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["steps"] == 4
    assert result["features"]["after"]["test"]["rows"] == 120
    told = seedtune("eval", run, "--json", "--threads", 1)
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout.splitlines()[-1])
    assert found["after"] == result["features"]["after"]
    assert found["before"] == result["features"]["before"]
    assert "test, 120 rows: accuracy" in told.stderr
    state = tmp_path / "state.safetensors"
    assert seedtune("replay", run, "--out", state).returncode == 0
    beside = seedtune("eval", bundle, "--state", state, "--json", "--threads", 1)
    assert json.loads(beside.stdout.splitlines()[-1])["state_sha256"] == found["state_sha256"]
    for command in (("journal", "show", run), ("journal", "verify", run), ("bundle", "verify", bundle)):
        assert seedtune(*command).returncode == 0, command
    assert seedtune("card", run).returncode == 0
    card = (run / "README.md").read_text("utf-8")
    assert 'pipeline_tag: "feature-extraction"' in card
    assert "prompt" not in card
    reported = seedtune("report", run)
    assert reported.returncode == 0, reported.stderr
    page = (run / "report.html").read_text("utf-8")
    assert "contrastive" in page


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"train": "rows.jsonl"}, "--train"),
        ({"held_out": "rows.jsonl"}, "--eval"),
        ({"held_out_rows": 3}, "--held-out-rows"),
        ({"data_format": "csv"}, "--data-format"),
        ({"cache": "contexts"}, "--cache"),
        ({"cache_limit": "1M"}, "--cache-limit"),
        ({"rows_per_call": 4}, "--rows-per-call"),
        ({"estimator": "gradient"}, "no gradient graph"),
        ({"estimator": "gauss-newton"}, "no scores of labels"),
        ({"objective": "f1"}, "no scores of labels"),
    ],
)
def test_what_only_texts_or_weights_can_have_is_refused_by_name(
    heads_bundle: Callable[..., Path], tmp_path: Path, options: dict[str, Any], named: str
) -> None:
    with package.open(heads_bundle("contrastive")) as model, pytest.raises(package.SeedTuneError) as caught:
        list(model.tune(out=tmp_path / "run", **options))
    assert named in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_commands_of_text_say_that_there_is_none(
    seedtune: Command, heads_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    bundle, row = heads_bundle("contrastive"), {"text": "a", "label": 0}
    with package.open(bundle) as model:
        for ask in (
            lambda: model.predict([row]),
            lambda: list(model.predictions([row])),
            lambda: model.rows([row]),
            lambda: model.cache_contexts([row], tmp_path),
            lambda: model.generate("once upon a time"),
            lambda: package.adapter(model, out=tmp_path / "adapter"),
        ):
            with pytest.raises(package.SeedTuneError, match="heads over features, and no text"):
                ask()
        with pytest.raises(package.SeedTuneError, match="leave --data out"):
            model.evaluate([row])
    with package.open(bundle, memory_limit="200M") as limited:
        with pytest.raises(package.SeedTuneError, match="leave --memory-limit out"):
            list(limited.tune(out=tmp_path / "run"))
        with pytest.raises(package.SeedTuneError, match="leave --memory-limit out"):
            limited.evaluate()
    done = seedtune("serve", bundle, "--port", 1)
    assert done.returncode == 2, done.stderr
    assert "heads over features, and no text" in done.stderr


def test_options_of_a_task_and_of_an_objective_do_not_mix(seedtune: Command, tmp_path: Path) -> None:
    source = saved(tmp_path / "features.npz", digits(60))
    for options, named in (
        (("--objective", "contrastive", "--storage", "int8", "--task", "sentiment"), "--storage, --task"),
        (("--task", "sentiment", "--temperature", 1), "--temperature"),
    ):
        done = seedtune("export", source, "--out", tmp_path / "bundle", *options)
        assert done.returncode == 2
        assert named in done.stderr
        assert not (tmp_path / "bundle").exists()


def spoilt(bundle: Path, out: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """A copy of ``bundle`` whose manifest was changed."""
    shutil.copytree(bundle, out)
    manifest = json.loads((out / "manifest.json").read_bytes())
    change(manifest)
    (out / "manifest.json").write_text(json.dumps(manifest))
    return out


def test_a_manifest_of_heads_that_cannot_be_is_refused(heads_bundle: Callable[..., Path], tmp_path: Path) -> None:
    changes: dict[str, tuple[str, Callable[[dict[str, Any]], object]]] = {
        "kind": ("does not know", lambda found: found["objective"].update(kind="scan")),
        "loss": ("does not follow its format", lambda found: found["objective"]["loss"].update(kind="margin")),
        "rows": ("no such labels", lambda found: found["objective"].update(rows=599)),
        "width": ("no such features", lambda found: found["objective"].update(features=63)),
        "classes": ("no such labels", lambda found: found["objective"].update(classes=4)),
        "temperature": ("temperature is out of range", lambda found: found["objective"]["loss"].update(temperature=0)),
        "files": ("other files", lambda found: found["files"].pop("rows.safetensors")),
        "host": ("other files", lambda found: found.update(host_files=["rows.safetensors"])),
    }
    for name, (words, change) in changes.items():
        copy = spoilt(heads_bundle("contrastive"), tmp_path / name, change)
        with pytest.raises(package.SeedTuneError, match=words), package.open(copy) as model:
            list(model.tune(out=tmp_path / "run", steps=1))
        assert not (tmp_path / "run").exists()


def test_rows_that_were_altered_or_lead_out_of_the_file_are_refused(
    heads_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    from seedtune.runtime.arrays import read_arrays, write_arrays
    from seedtune.runtime.bundle.manifest import describe

    bundle = heads_bundle("contrastive")
    arrays = {name: np.array(values) for name, values in read_arrays(bundle / "rows.safetensors").items()}
    changes = {
        "a positive": arrays | {"positives": arrays["positives"] + 600},
        "an offset": arrays | {"positive_offsets": np.r_[arrays["positive_offsets"][:-1], 10**9]},
        "a cluster": arrays | {"cluster_offsets": np.array([0, 0, 600])},
        "a label": arrays | {"labels": arrays["labels"] + 5},
        "another type": arrays | {"features": arrays["features"].astype(np.int64)},
        "nothing": {},
    }
    for name, changed in changes.items():
        copy = tmp_path / name
        shutil.copytree(bundle, copy)
        write_arrays(copy / "rows.safetensors", changed)
        with pytest.raises(package.SeedTuneError, match=r"truncated|longer|altered"):
            package.open(copy)
        manifest = json.loads((copy / "manifest.json").read_bytes())
        entry = describe(copy / "rows.safetensors")
        manifest["files"]["rows.safetensors"] = {"size_bytes": entry.size_bytes, "sha256": entry.sha256}
        (copy / "manifest.json").write_text(json.dumps(manifest))
        assert decode_manifest((copy / "manifest.json").read_bytes(), copy)
        with package.open(copy) as model, pytest.raises(package.SeedTuneError, match="the bundle's rows have no such"):
            list(model.tune(out=tmp_path / "run", steps=1))


def test_heads_have_the_same_commands(seedtune: Command, tmp_path: Path) -> None:
    source = saved(tmp_path / "features.npz", robust())
    assert seedtune("export", source, "--objective", "heads", "--out", tmp_path / "bundle").returncode == 0
    done = seedtune("run", tmp_path / "bundle", "--out", tmp_path / "run", *FEW)
    assert done.returncode == 0, done.stderr
    told = seedtune("eval", tmp_path / "run")
    assert "non-robust head: clean" in told.stderr
    assert "as the attack has it" in told.stderr
