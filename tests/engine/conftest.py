"""Golden files for the engine, and one build of engine and app with their own tests over them."""

from __future__ import annotations

import os
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import golden as files
import golden_rows
import golden_tokens
import pytest
from apk_lab import machine_of
from filelock import FileLock
from golden_generation import export_generating, write_decoded, write_generation
from golden_heads import write_heads
from golden_mutated import write_mutated
from golden_probes import write_probes
from golden_run import GoldenRun
from golden_tokenizers import split_by_pattern, word_pieces
from tokenizers import Tokenizer

import seedtune
from lab.android.apk_machine import ApkMachine
from seedtune.runtime.bundle.reader import Bundle

# family, scope, storage of contexts, storage of weights, layers, context on host
CASES = (
    ("causal", "all", "fp32", "fp32"),
    ("causal", "suffix", "fp16", "int8"),
    ("masked", "suffix", "int8", "fp32"),
    ("masked", "all", "fp32", "fp16"),
    ("causal", "last", "fp16", "fp32", 1),
    ("masked", "last", "int8", "fp32", 1, True),
)
# A stage for every matrix: some of them run once for all calls of a step.
FINELY_CUT = ("causal", "last", "fp16", "int8", 1, False, True)
Maven = Callable[..., "subprocess.CompletedProcess[str]"]
PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:build-classpath"
# Runs whose steps the engine does not make, by name.
REPLAYED: dict[str, dict[str, Any]] = {
    "gauss-newton": {"estimator": "gauss-newton", "directions": 10, "batch_size": 24, "steps": 4},
    "one-sided": {"estimator": "one-sided", "directions": 3, "average": 0.5},
    "accuracy": {"objective": "accuracy"},
}


@pytest.fixture(scope="session")
def generating(
    tiny_checkpoint: Path, tiny_task_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """Name -> bundle that generates text."""
    return export_generating(tiny_checkpoint, tiny_task_file, tmp_path_factory.mktemp("generating"))


@pytest.fixture(scope="session")
def golden(
    bundle_of: Callable[..., Path],
    generating: dict[str, Path],
    tiny_data: SimpleNamespace,
    tiny_tokenizer: Tokenizer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The folder of golden files."""
    folder = tmp_path_factory.mktemp("golden")
    files.write_json(folder / "version.json", {"version": files.VERSION})
    files.write_noise(folder)
    files.write_numbers(folder)
    golden_rows.write_row_files(folder)
    masked = Bundle.open(bundle_of("masked", "all", "fp32", "fp16")).tokenizer()
    from seedtune.exporter.checkpoint import open_checkpoint

    smollm2 = open_checkpoint("smollm2-135m-instruct").tokenizer
    golden_tokens.write_tokenizers(
        folder,
        {
            "bytes": tiny_tokenizer,
            "masked": masked,
            "smollm2": smollm2,
            "pattern": split_by_pattern(smollm2),
            "words": word_pieces(),
        },
    )
    for name, tokenizer in (("bytes", tiny_tokenizer), ("smollm2", smollm2)):
        write_decoded(folder / "tokenizers" / name, tokenizer)
    golden_tokens.write_spelled_rows(folder / "spelled")
    write_generation(folder / "generation", generating, tiny_data)
    names = []
    for case in CASES:
        names.append("-".join(map(str, case)))
        write_run(folder / "runs" / names[-1], bundle_of(*case), tiny_data)
    names.append("momentum")
    write_run(folder / "runs" / names[-1], bundle_of(*CASES[0]), tiny_data, optimizer="momentum")
    for scope, case in (("last", CASES[4]), ("suffix", CASES[1])):
        names.append(f"gradient-{scope}")
        write_run(folder / "runs" / names[-1], bundle_of(*case), tiny_data, estimator="gradient")
    names.append("averaged")
    write_run(folder / "runs" / names[-1], bundle_of(*CASES[0]), tiny_data, optimizer="momentum", average=0.5)
    names.append("together")
    write_run(folder / "runs" / names[-1], bundle_of(*FINELY_CUT), tiny_data, rows_per_call=3)
    files.write_json(folder / "runs.json", names)
    for name, settings in REPLAYED.items():
        write_run(folder / "replayed" / name, bundle_of(*CASES[1]), tiny_data, **settings)
    files.write_json(folder / "replayed.json", list(REPLAYED))
    write_run(folder / "probed", bundle_of(*CASES[1]), tiny_data, start="linear-probe")
    write_probes(folder / "probes.json")
    files.write_grouped(folder / "grouped")
    write_heads(folder / "heads")
    write_mutated(folder)
    files.write_scans(folder / "scans")
    files.write_memory(folder / "memory.json", [bundle_of(*case) for case in (*CASES, FINELY_CUT)])
    return folder


def write_run(folder: Path, bundle: Path, data: SimpleNamespace, **more: Any) -> None:
    """A run of SETTINGS with one thread, its rows, and what its best state then says to the first."""
    settings = {name.replace("-", "_"): value for name, value in files.SETTINGS.items()} | more
    with seedtune.open(bundle, threads=1) as model:
        tuning = model.tune(data.train, data.eval, out=folder, **settings)
        for _event in tuning:
            pass
        (probabilities,) = model.predict([row.fields for row in model.rows(data.train)[:1]])
        files.write_rows(folder / "rows.jsonl", model.bundle, data.train)
    info = {
        "bundle": str(bundle),
        "more": more,
        "train": str(data.train),
        "eval": str(data.eval),
        "state_sha256": tuning.result.state_sha256,
        "probabilities": list(probabilities.values()),
    }
    files.write_json(folder / "info.json", info)


@pytest.fixture(scope="session")
def maven() -> Maven:
    """Runs Maven on the engine."""
    command = shutil.which("mvn")
    if command is None:
        pytest.skip("Maven is not installed: the engine is neither built nor tested")

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        # The environment's own options first, then ours; colours would end up in messages.
        return subprocess.run(
            [command, "-B", "-q", "-Dstyle.color=never", "-f", str(files.ENGINE / "pom.xml"), *arguments],
            capture_output=True,
            text=True,
            timeout=1200,
            check=False,
            env=dict(os.environ),
        )

    return call


@pytest.fixture(scope="session")
def reports(golden: Path, maven: Maven) -> dict[str, ElementTree.Element]:
    """Class -> Surefire's report, after the tests of engine and app ran over the golden files.

    One at a time builds, and once a session: workers of one session find what the first of them built.
    """
    target = files.ENGINE / "target"
    target.mkdir(exist_ok=True)
    session, built_by = os.environ.get("PYTEST_XDIST_TESTRUNUID"), target / "built-by"
    with FileLock(target / "lock"):
        if session is None or not built_by.is_file() or built_by.read_text() != session:
            built_by.unlink(missing_ok=True)
            _build(golden, maven)
            built_by.write_text(session or "")
    found = files.ENGINE.glob("*/target/surefire-reports/TEST-*.xml")
    return {report.get("name", ""): report for report in (ElementTree.parse(file).getroot() for file in found)}


def _build(golden: Path, maven: Maven) -> None:
    for old in files.ENGINE.glob("*/target/surefire-reports/*.xml"):
        old.unlink()
    # Classes whose source is gone would be taken for this build's.
    for folder in files.ENGINE.glob("*/target/*classes"):
        shutil.rmtree(folder)
    done = maven("package", f"-Dseedtune.golden={golden}")
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


@pytest.fixture(params=["causal-suffix-fp16-int8", "gradient-last"])
def case(golden: Path, request: pytest.FixtureRequest) -> GoldenRun:
    """A run that Python made: along noise with scope "suffix", and along gradients with scope "last"."""
    return GoldenRun.of(golden / "runs" / request.param)


@pytest.fixture(scope="session")
def classpath(
    reports: dict[str, ElementTree.Element],
    maven: Maven,
    tmp_path_factory: pytest.TempPathFactory,
) -> list[Path]:
    """Classes of the engine's tests, and its libraries."""
    assert reports
    listed = tmp_path_factory.mktemp("classpath") / "classpath"
    done = maven(PLUGIN, f"-Dmdep.outputFile={listed}", "-pl", "engine")
    assert done.returncode == 0, done.stdout[-4000:]
    return [
        files.ENGINE / "engine" / "target" / "test-classes",
        *map(Path, listed.read_text().strip().split(os.pathsep)),
    ]


@pytest.fixture(scope="session")
def apk(reports: dict[str, ElementTree.Element]) -> ApkMachine:
    """The APK that was built, with what a JVM here needs to run what is in it."""
    assert reports
    return machine_of("seedtune-x86_64.apk")


@pytest.fixture(scope="session", params=["apk", pytest.param("class files", marks=pytest.mark.slow)])
def java(classpath: list[Path], request: pytest.FixtureRequest) -> list[str]:
    """The start of a command line that runs Java over the engine: as in the APK, or as compiled where there is none."""
    if request.param == "apk":
        try:
            return request.getfixturevalue("apk").java(classpath)
        except pytest.skip.Exception:
            pass
    paths = [files.ENGINE / "engine" / "target" / "classes", *classpath]
    return ["java", "-Xmx256m", "-cp", os.pathsep.join(map(str, paths))]
