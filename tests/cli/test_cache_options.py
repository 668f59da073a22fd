"""The command line with a bundle of scope "suffix": where caches go, how large they get, and what is refused."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from seedtune.runtime.cli.main import app
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.journal.file import read_journal

QUICK = ["--steps", 3, "--batch-size", 8, "--learning-rate", 0.02, "--seed", 3, "--start", "zero", "--threads", 1]
QUICK += ["--json"]
Result = dict[str, object]


def call(*arguments: object) -> Result:
    """Runs the command in this process; its last line."""
    done = CliRunner().invoke(app, list(map(str, arguments)), env={"NO_COLOR": "1"}, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout.splitlines()[-1])


def refusal(*arguments: object) -> str:
    """What a command is refused with."""
    with pytest.raises(SeedTuneError) as caught:
        CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
    return str(caught.value)


@pytest.fixture(scope="module")
def finished(suffix_bundle: Path, tiny_data: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three steps with its caches inside; read-only."""
    out = tmp_path_factory.mktemp("cli") / "run"
    call("run", suffix_bundle, "--train", tiny_data.train, "--eval", tiny_data.eval, "--out", out, *QUICK)
    return out


def cache_sizes(folder: Path) -> dict[str, int]:
    """Split -> bytes of its cache file."""
    return {path.name.split("-")[0]: path.stat().st_size for path in folder.glob("*.contexts")}


def test_a_cache_folder_is_used_by_run_and_eval_alike(
    finished: Path, suffix_bundle: Path, tiny_data: SimpleNamespace, tmp_path: Path
) -> None:
    folder = tmp_path / "shared"
    done = call("eval", finished, "--data", tiny_data.train, "--cache", folder, "--step", 3, "--threads", 1, "--json")
    assert cache_sizes(folder).keys() == {"train"}
    before = {path: path.read_bytes() for path in folder.glob("*.contexts")}
    arguments = ("run", suffix_bundle, "--train", tiny_data.train, "--out", tmp_path / "run", "--cache", folder, *QUICK)
    ran = call(*arguments)
    assert {path: path.read_bytes() for path in folder.glob("*.contexts")} == before
    assert not (tmp_path / "run" / "contexts").exists()
    assert ran["state_sha256"] == done["state_sha256"]
    assert (tmp_path / "run" / "journal.bin").read_bytes() == (finished / "journal.bin").read_bytes()


def test_eval_keeps_no_cache_unless_told_where(
    finished: Path, suffix_bundle: Path, tiny_data: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(finished.rglob("*"))
    bare = call("eval", suffix_bundle, "--data", tiny_data.eval, "--json")
    run = call("eval", finished, "--data", tiny_data.eval, "--step", 0, "--json")
    assert run["loss"] == pytest.approx(bare["loss"], rel=1e-6)
    assert list(tmp_path.iterdir()) == []
    assert sorted(finished.rglob("*")) == before


@pytest.mark.parametrize("limit", ["0", "2K", "1.5Ki", "1G"])
def test_a_limit_is_kept_for_each_cache(
    finished: Path, suffix_bundle: Path, tiny_data: SimpleNamespace, tmp_path: Path, limit: str
) -> None:
    data = ("--train", tiny_data.train, "--eval", tiny_data.eval)
    call("run", suffix_bundle, *data, "--out", tmp_path / "run", "--cache-limit", limit, *QUICK)
    sizes, whole = cache_sizes(tmp_path / "run" / "contexts"), cache_sizes(finished / "contexts")
    bytes_allowed = {"0": 0, "2K": 2000, "1.5Ki": 1536, "1G": 10**9}[limit]
    assert sizes.keys() == (set() if limit == "0" else {"train", "eval"})
    for name, size in sizes.items():
        assert size - 512 <= bytes_allowed
        assert (size == whole[name]) is (limit == "1G")
    found, expected = (read_journal(path / "journal.bin").records for path in (tmp_path / "run", finished))
    assert found["loss_plus"] == pytest.approx(expected["loss_plus"], rel=1e-3)


@pytest.mark.parametrize("size", ["", "lots", "-1G", "5i", "1,5G"])
@pytest.mark.parametrize("command", ["run", "eval"])
def test_a_limit_that_is_no_size_is_refused(
    suffix_bundle: Path, tiny_data: SimpleNamespace, tmp_path: Path, command: str, size: str
) -> None:
    data = ("--train", tiny_data.train, "--out", tmp_path / "run") if command == "run" else ("--data", tiny_data.eval)
    assert "--cache-limit is not a size" in refusal(command, suffix_bundle, *data, f"--cache-limit={size}")


def test_a_cache_of_another_bundle_is_refused_by_name(
    finished: Path, bundle_of: Callable[..., Path], tiny_data: SimpleNamespace, tmp_path: Path
) -> None:
    other = bundle_of("causal", "suffix", "int8")
    call("eval", other, "--data", tiny_data.train, "--cache", tmp_path, "--json")
    (theirs,) = tmp_path.glob("*.contexts")
    (mine,) = (finished / "contexts").glob("train-*.contexts")
    theirs.rename(tmp_path / mine.name)
    message = refusal("eval", finished, "--data", tiny_data.train, "--cache", tmp_path)
    assert f"{tmp_path / mine.name}: the context cache belongs to another bundle" in message
    assert "--cache" in message


def test_a_file_where_the_cache_folder_should_be_is_refused(
    suffix_bundle: Path, tiny_data: SimpleNamespace, tmp_path: Path
) -> None:
    (tmp_path / "mine").write_text("precious")
    message = refusal("eval", suffix_bundle, "--data", tiny_data.eval, "--cache", tmp_path / "mine")
    assert "the context cache cannot be written" in message
    assert (tmp_path / "mine").read_text() == "precious"


def test_a_bundle_of_scope_all_takes_the_options_and_keeps_no_cache(
    tiny_bundle: Path, tiny_data: SimpleNamespace, tmp_path: Path
) -> None:
    options = ("--cache", tmp_path / "cache", "--cache-limit", "1M")
    call("eval", tiny_bundle, "--data", tiny_data.eval, *options, "--json")
    assert not (tmp_path / "cache").exists()


# Stops for good, as by SIGKILL, once argv[1] entries are in the cache.
DYING = """
import os, signal, sys
from seedtune.runtime.context.cache_file import CacheFile

left, append = [int(sys.argv.pop(1))], CacheFile.append

def counted(self, *entry):
    append(self, *entry)
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)

CacheFile.append = counted
from seedtune.runtime.cli.main import run
run()
"""


@pytest.mark.parametrize("entries", [1, 60])
def test_a_run_killed_while_its_caches_were_built_is_started_again_and_finishes(
    finished: Path,
    entry_point: list[str],
    suffix_bundle: Path,
    tiny_data: SimpleNamespace,
    tmp_path: Path,
    entries: int,
) -> None:
    """With 60 entries, the cache of the training rows is whole and that of the held-out rows is not."""
    data = ("--train", tiny_data.train, "--eval", tiny_data.eval)
    arguments = list(map(str, ("run", suffix_bundle, *data, "--out", tmp_path / "run", *QUICK)))
    done = subprocess.run(
        [*entry_point[:2], DYING, str(entries), *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    left = cache_sizes(tmp_path / "run" / "contexts")
    whole = cache_sizes(finished / "contexts")
    assert left.keys() == ({"train"} if entries == 1 else {"train", "eval"})
    assert not (tmp_path / "run" / "journal.bin").exists()
    call(*arguments)
    assert cache_sizes(tmp_path / "run" / "contexts") == whole
    found, expected = (read_journal(path / "journal.bin").records for path in (tmp_path / "run", finished))
    assert found["loss_plus"] == pytest.approx(expected["loss_plus"], rel=1e-3)
