"""The list of benches says what their files say, and a file that says nothing of itself is refused."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from bench_lab import RUNNER

from bench import memory, step
from lab.catalogue import Bench, benches
from lab.module_process import module_environment
from seedtune.runtime.errors import SeedTuneError

NAMES = sorted(file.stem for file in RUNNER.glob("[!_]*.py"))


@pytest.fixture(scope="module")
def printed() -> str:
    return subprocess.run([sys.executable, str(RUNNER)], capture_output=True, text=True, check=True).stdout


def test_every_bench_is_listed_and_nothing_else(printed: str) -> None:
    assert [bench.name for bench in benches(RUNNER)] == NAMES
    assert re.findall(r"^│ (\w+)", printed, re.MULTILINE) == NAMES


@pytest.mark.parametrize("bench", benches(RUNNER), ids=lambda bench: bench.name)
def test_the_list_says_what_a_bench_declares(bench: Bench, printed: str) -> None:
    assert bench.what in printed
    for figure, bar in bench.bars.items():
        assert f"{figure}: {bar}" in printed


@pytest.mark.parametrize("bench", benches(RUNNER), ids=lambda bench: bench.name)
def test_what_a_bench_declares_is_what_it_uses(bench: Bench) -> None:
    text = (RUNNER / f"{bench.name}.py").read_text()
    # One declaration, which nothing changes, and bars that are written nowhere else.
    assert len(re.findall(r"\b(?:WHAT|BAR)\b(?:\[.*\])?(?:: .*)? = ", text)) == 2
    assert "BAR" in text.partition("\ndef main")[2]
    assert not [bar for bar in bench.bars.values() if len(bar) > 2 and text.count(f'"{bar}"') != 1]
    first = (ast.get_docstring(ast.parse(text)) or "").splitlines()[0]
    assert first.startswith((f"python scripts/bench {bench.name} ", f"python scripts/bench {bench.name}:"))
    assert first.endswith(f": {bench.what}.")


def test_what_is_read_without_importing_is_what_a_bench_has() -> None:
    read = {bench.name: (bench.what, bench.bars) for bench in benches(RUNNER)}
    assert read["memory"] == (memory.WHAT, memory.BAR)
    assert read["step"] == (step.WHAT, step.BAR)


def test_the_list_takes_neither_arrays_nor_models_into_memory() -> None:
    loaded = "import runpy, sys; sys.argv = [sys.argv[1]]\ntry: runpy.run_path(sys.argv[0], run_name='__main__')\n"
    loaded += "except SystemExit: print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", loaded, str(RUNNER)], capture_output=True, text=True, check=True)
    assert "lab.catalogue" in done.stderr.split()
    assert not {"numpy", "onnxruntime", "torch"} & set(done.stderr.split())


def test_what_runs_beside_a_capped_command_maps_no_library_of_it() -> None:
    loaded = "import sys, bench.memory; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", loaded], capture_output=True, text=True, check=True, env=module_environment()
    )
    assert "lab.capped_run" in done.stdout.split()
    assert not {"numpy", "onnxruntime", "tokenizers", "torch"} & set(done.stdout.split())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("BAR = {}", "does not say what it measures"),
        ('WHAT = "two\\nlines"\nBAR = {}', "does not say what it measures"),
        ('WHAT = "a"', "does not say what must hold"),
        ('WHAT = "a"\nBAR = {"time": 5}', "does not say what must hold"),
        ('WHAT = "a"\nBAR = dict(time="<= 5 s")', "is no literal"),
    ],
)
def test_a_bench_that_does_not_declare_itself_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "lacking.py").write_text(text)
    with pytest.raises(SeedTuneError, match=said) as refused:
        benches(tmp_path)
    assert "lacking.py" in str(refused.value)
