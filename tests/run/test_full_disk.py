"""A disk that fails at any call: a message that names a file, and a run that goes on once it works again."""

from __future__ import annotations

import errno
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from faulty_disk import FaultyDisk
from run_lab import DEFAULTS, Tune, journal_bytes

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.model.feeders import CacheOptions

SHORT: dict[str, Any] = {**DEFAULTS, "steps": 3, "eval_every": 2}
ROWS = {"train": 10, "eval": 4}
# How many calls fail by default, each in a run of its own; with --slow two of each kind and file.
FEW = 6


@pytest.fixture
def failing(
    suffix_bundle: Path, tiny_data: SimpleNamespace, tune_tiny: Tune, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """``failing(count, number, only)``: runs on such disks, each resumed on a good one, compared with a whole."""
    files = {name: tmp_path / f"{name}.jsonl" for name in ROWS}
    for name, count in ROWS.items():
        files[name].write_bytes(b"".join(getattr(tiny_data, name).read_bytes().splitlines(keepends=True)[:count]))
    given = {**SHORT, "bundle": suffix_bundle, "train": files["train"], "held_out": files["eval"], "resume": True}

    def run(name: str, disk: FaultyDisk | None) -> Any:
        cache = CacheOptions(tmp_path / name / "contexts")
        with monkeypatch.context() as patch:
            if disk is not None:
                disk.install(patch)
            return tune_tiny(tmp_path / name, cache=cache, **given)

    def call(wanted: int | None, number: int, only: str | None = None) -> list[tuple[str, str]]:
        disk = FaultyDisk(tmp_path / "whole", None)
        whole = run("whole", disk)
        places = [place for place, (kind, _) in enumerate(disk.calls) if only in (None, kind)]
        if wanted is not None:
            places = [places[index * len(places) // wanted] for index in range(wanted)]
        else:
            # The first and the last of each file: what is written row by row fails alike at each of them.
            last = {disk.calls[place]: place for place in places}
            first = {disk.calls[place]: place for place in reversed(places)}
            places = sorted({*first.values(), *last.values()})
        failed = []
        for place in places:
            name = f"run-{place}"
            disk = FaultyDisk(tmp_path / name, place, number, only)
            with pytest.raises(SeedTuneError) as caught:
                run(name, disk)
            assert disk.failed is not None
            assert caught.value.remedy, disk.failed
            assert str(tmp_path / name) in str(caught.value), disk.failed
            assert run(name, None).state_sha256 == whole.state_sha256, disk.failed
            assert journal_bytes(tmp_path / name) == journal_bytes(tmp_path / "whole"), disk.failed
            assert not list((tmp_path / name).glob("*.partial")), disk.failed
            failed.append(disk.failed)
        return failed

    return call


@pytest.mark.parametrize("number", [errno.ENOSPC, pytest.param(errno.EROFS, marks=pytest.mark.slow)])
def test_a_disk_that_fails_at_some_call_costs_no_run(failing: Any, number: int) -> None:
    failed = failing(FEW, number)
    assert len({kind for kind, _ in failed}) >= 2


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_disk_that_fails_at_any_file_costs_no_run(failing: Any) -> None:
    failed = failing(None, errno.ENOSPC)
    assert {kind for kind, _ in failed} == {"mkdir", "open", "write", "fsync", "rename"}


def test_an_fsync_that_fails_is_told_and_costs_no_run(failing: Any) -> None:
    failed = failing(FEW, errno.EIO, "fsync")
    assert any(name == "journal.bin" for _, name in failed)
