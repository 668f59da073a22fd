"""The front door: what it offers is what is documented, a first use is short, and nothing heavy comes in with it."""

from __future__ import annotations

import ast
import math
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import seedtune

ROOT = Path(__file__).parents[2]
HEAVY = {"torch", "onnx", "onnx_ir", "onnxscript", "transformers", "accelerate", "safetensors", "gguf"}


def test_all_is_what_there_is() -> None:
    assert len(seedtune.__all__) == len(set(seedtune.__all__))
    assert set(dir(seedtune)) == set(seedtune.__all__)
    for name in seedtune.__all__:
        assert getattr(seedtune, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'tune'"):
        _ = seedtune.tune
    for name in seedtune.events.__all__:
        assert getattr(seedtune.events, name).__module__.startswith("seedtune.") or name in (
            "Event",
            "RecipeEvent",
            "ScanEvent",
        )


def test_all_is_what_the_reference_documents() -> None:
    page = (ROOT / "docs" / "reference" / "python.md").read_text("utf-8")
    assert sorted(re.findall(r"^### `(\w+)`$", page, re.MULTILINE)) == sorted(seedtune.__all__)
    events = set(re.findall(r"^#### `events\.(\w+)", page, re.MULTILINE))
    assert events == set(seedtune.events.__all__)


def test_the_types_are_marked_as_such_for_whoever_checks_them() -> None:
    assert (Path(seedtune.__file__).parent / "py.typed").is_file()


def first_use() -> str:
    """The Python block of the README. None of its lines is left out."""
    blocks = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 1
    return blocks[0]


def test_a_first_use_takes_at_most_six_lines_and_one_import() -> None:
    code = first_use()
    assert len([line for line in code.splitlines() if line.strip()]) <= 6
    imports = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert len(imports) == 1
    assert isinstance(imports[0], ast.Import)
    assert [alias.name for alias in imports[0].names] == ["seedtune"]


def test_a_first_use_tunes_evaluates_and_predicts_in_a_fresh_process(
    tiny_bundle: Path, tiny_data: SimpleNamespace, tmp_path: Path
) -> None:
    shutil.copytree(tiny_bundle, tmp_path / "bundle")
    for name in ("train", "validation", "test"):
        shutil.copy(tiny_data.train if name == "train" else tiny_data.eval, tmp_path / f"{name}.jsonl")
    done = subprocess.run(
        [sys.executable, "-c", first_use()], cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    *events, accuracy, predictions = done.stdout.splitlines()
    (steps,) = map(int, re.findall(r"steps=(\d+)", first_use()))
    assert sum(line.startswith("Step(") for line in events) == steps
    assert events[0].startswith("Prepared(")
    assert events[-1].startswith("Finished(")
    # Chance is 0.5 of these balanced rows.
    assert float(accuracy) > 0.7
    (row,) = ast.literal_eval(predictions)
    assert row.keys() == {"negative", "positive"}
    assert math.isclose(sum(row.values()), 1, abs_tol=1e-5)
    with seedtune.open(tmp_path / "run", bundle=tmp_path / "bundle", step=steps) as model:
        assert model.step == steps


def modules_of(code: str, cwd: Path) -> set[str]:
    """The top names of all modules that a fresh process has imported after ``code``."""
    told = f"{code}\nimport sys\nprint(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", told], cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def test_importing_it_imports_nothing_heavy(tmp_path: Path) -> None:
    found = modules_of("import seedtune", tmp_path)
    assert "seedtune" in found
    assert not found & (HEAVY | {"onnxruntime", "numpy"})
    found = modules_of("import seedtune; seedtune.open", tmp_path)
    assert "onnxruntime" in found
    assert not found & HEAVY


def test_opening_asking_and_tuning_import_nothing_heavy(
    tiny_bundle: Path, tiny_data: SimpleNamespace, tmp_path: Path
) -> None:
    code = f"""
import seedtune
with seedtune.open({str(tiny_bundle)!r}) as model:
    list(model.tune({str(tiny_data.train)!r}, out="run", steps=1, batch_size=2))
    model.predict([{{"text": "a lovely film"}}])
"""
    assert not modules_of(code, tmp_path) & HEAVY


def test_exporting_without_the_extra_names_it(tmp_path: Path) -> None:
    code = """
import sys
sys.modules["torch"] = None
import seedtune
try:
    seedtune.export("model", task="sentiment", out="bundle")
except seedtune.SeedTuneError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "torch" in done.stdout
    assert "seedtune[export]" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "named"), [({"storage": "int3"}, "int3"), ({"rank": 0}, "rank"), ({"colour": "red"}, "colour")]
)
def test_an_option_of_export_that_cannot_be_is_refused_and_nothing_is_written(
    tiny_checkpoint: Path, tiny_task_file: Path, tmp_path: Path, options: dict, named: str
) -> None:
    with pytest.raises((seedtune.SeedTuneError, TypeError), match=named):
        seedtune.export(tiny_checkpoint, task=tiny_task_file, out=tmp_path / "bundle", **options)
    assert list(tmp_path.iterdir()) == []


def test_export_gives_the_manifest_of_what_it_wrote(
    tiny_checkpoint: Path, tiny_task_file: Path, tmp_path: Path
) -> None:
    phases: list[str] = []
    manifest = seedtune.export(
        tiny_checkpoint, task=tiny_task_file, out=tmp_path / "bundle", rank=2, check=False, phase=phases.append
    )
    assert phases
    with seedtune.open(tmp_path / "bundle") as model:
        assert model.bundle.manifest == manifest
        assert (model.step, model.is_run) == (0, False)
