"""A tokenizer with more tokens than the model's embedding has rows: told at export, refused where one is needed."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import seedtune
from seedtune.runtime.errors import SeedTuneError

pytestmark = pytest.mark.traced
LACKS = "has a token that the model's embedding lacks"


@pytest.fixture(scope="session")
def large(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny Llama, to whose tokenizer an ordinary and a special token were added afterwards."""
    from transformers import AutoTokenizer

    folder = tmp_path_factory.mktemp("large") / "checkpoint"
    shutil.copytree(tiny_checkpoint, folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["superfilm"])
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>"]})
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def bundle(large: Path, tiny_task_file: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Its bundle, and the notices of the export."""
    from seedtune.exporter.pipeline import export_bundle

    out = tmp_path_factory.mktemp("bundles") / "large"
    notices: list[str] = []
    export_bundle(str(large), str(tiny_task_file), out, check=False, notice=notices.append)
    return out, notices


def rows(path: Path, *texts: str) -> Path:
    path.write_text("".join(json.dumps({"text": text, "label": 1}) + "\n" for text in texts))
    return path


def test_the_export_says_how_many_tokens_the_embedding_lacks(bundle: tuple[Path, list[str]], large: Path) -> None:
    size = json.loads((large / "config.json").read_text())["vocab_size"]
    (notice,) = [text for text in bundle[1] if "tokenizer" in text]
    assert f"2 tokens beyond the model's embedding of {size}" in notice
    assert "'superfilm'" in notice


def test_a_tokenizer_that_fits_is_not_told_of(tiny_checkpoint: Path, tiny_task_file: Path) -> None:
    from seedtune.exporter.pipeline import open_source
    from seedtune.exporter.trace.reach import Reach

    notices: list[str] = []
    open_source(str(tiny_checkpoint), str(tiny_task_file), Reach(), notices.append)
    assert notices == []


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("Review:", "<|im_start|>Review:", f"the template {LACKS}"),
        ("Review:", "superfilm:", f"the template {LACKS}"),
        ('word = " positive"', 'word = "superfilm"', f"a label word {LACKS}"),
    ],
)
def test_a_template_or_a_label_word_that_needs_one_is_refused_before_anything_is_traced(
    large: Path, tiny_task_file: Path, tmp_path: Path, old: str, new: str, what: str
) -> None:
    task = tmp_path / "task.toml"
    task.write_text(tiny_task_file.read_text().replace(old, new))
    phases: list[str] = []
    with pytest.raises(SeedTuneError, match=what):
        seedtune.export(large, task=task, out=tmp_path / "out", phase=phases.append)
    assert phases == ["opening the checkpoint"]
    assert not (tmp_path / "out").exists()


def test_a_row_that_needs_one_is_refused_by_file_and_line_by_every_command(
    bundle: tuple[Path, list[str]],
    seedtune: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
) -> None:
    data = rows(tmp_path / "rows.jsonl", "a lovely film", "a superfilm song")
    out = tmp_path / "run"
    for arguments in (["eval", bundle[0], "--data", data], ["run", bundle[0], "--train", data, "--out", out]):
        done = seedtune(*arguments)
        assert done.returncode == 2, done.stderr
        assert f"{data}:2: the row {LACKS}" in " ".join(done.stderr.split("\n"))
        assert "superfilm" in done.stderr
    assert not out.exists()


def test_python_refuses_such_a_row_too_and_takes_the_text_of_a_special_one(
    bundle: tuple[Path, list[str]], tmp_path: Path
) -> None:
    with seedtune.open(bundle[0]) as model:
        with pytest.raises(SeedTuneError, match=LACKS) as caught:
            model.predict([{"text": "a film"}, {"text": "a superfilm"}])
        assert caught.value.file == "row:2"
        model.predict([{"text": "an <|im_start|> in a text is only text"}])
