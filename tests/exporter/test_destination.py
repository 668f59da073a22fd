"""Where a bundle is put: found out before the long work, and nothing that was there is lost."""

from __future__ import annotations

import json
import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from seedtune.exporter.storage.destination import destination, put, staged
from seedtune.runtime.errors import SeedTuneError

OLD = {"manifest.json": '{"files": {"weights": 1, "gone": 2}}', "weights": "old", "gone": "old"}
NEW = {"manifest.json": '{"files": {"weights": 1, "graph": 2}}', "weights": "new", "graph": "new"}


def fill(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(content)
    return folder


def files_of(folder: Path) -> dict[str, str]:
    """Every file of ``folder``, hidden ones too."""
    return {path.name: path.read_text() for path in folder.iterdir()}


def export(out: Path, overwrite: bool = False) -> Path:
    """What the pipeline does with ``out``."""
    place = destination(out, overwrite)
    with staged(place) as folder:
        fill(folder, NEW)
        put(folder, place)
    return place


def refusal(out: Path, overwrite: bool = False) -> str:
    """The message before the long work; what is there is as it was."""
    with pytest.raises(SeedTuneError) as caught:
        destination(out, overwrite)
    assert caught.value.remedy
    return str(caught.value)


def test_a_new_folder_and_its_parents_are_made(tmp_path: Path) -> None:
    assert destination(tmp_path / "a" / "b", False) == tmp_path / "a" / "b"
    assert list(tmp_path.iterdir()) == []
    export(tmp_path / "a" / "b")
    assert files_of(tmp_path / "a" / "b") == NEW
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o755


def test_an_empty_folder_is_filled_and_stays_the_same_folder(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    before = (tmp_path / "out").stat().st_ino
    export(tmp_path / "out")
    assert files_of(tmp_path / "out") == NEW
    assert (tmp_path / "out").stat().st_ino == before


def test_the_working_folder_is_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    export(Path())
    assert files_of(Path()) == NEW
    export(Path(), overwrite=True)
    assert files_of(tmp_path) == NEW


@pytest.mark.parametrize("content", [{}, OLD])
def test_a_link_is_followed_and_stays(tmp_path: Path, content: dict[str, str]) -> None:
    real = fill(tmp_path / "real", content)
    (tmp_path / "link").symlink_to("real")
    assert export(tmp_path / "link", overwrite=bool(content)) == real
    assert (tmp_path / "link").is_symlink()
    assert files_of(real) == NEW


def test_a_link_to_nothing_makes_what_it_names(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("real")
    export(tmp_path / "link")
    assert files_of(tmp_path / "real") == NEW
    assert (tmp_path / "link").is_symlink()


def test_the_home_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert export(Path("~/b")) == tmp_path / "b"
    assert "cannot be made" in refusal(Path("~nobody-of-this-name/b"))


def test_a_bundle_is_replaced_and_the_files_of_others_stay(tmp_path: Path) -> None:
    out = fill(tmp_path / "out", OLD | {"notes.txt": "mine"})
    fill(out / "run", {"journal": "mine"})
    assert "add --overwrite" in refusal(out)
    export(out, overwrite=True)
    assert files_of(out / "run") == {"journal": "mine"}
    shutil.rmtree(out / "run")
    assert files_of(out) == NEW | {"notes.txt": "mine"}


def test_a_bundle_that_cannot_be_replaced_is_there_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, real, moved = fill(tmp_path / "out", OLD), Path.rename, []

    def rename(self: Path, target: Path) -> Path:
        moved.append(self)
        if len(moved) == 5:
            raise OSError(5, "Input/output error", str(self))
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(SeedTuneError, match="Input/output error"):
        export(out, overwrite=True)
    assert files_of(out) == OLD


def test_a_folder_without_its_manifest_is_seen_while_files_move(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who opens the bundle then is told that it is none, and never reads half of two."""
    out, real, seen = fill(tmp_path / "out", OLD), Path.rename, []

    def rename(self: Path, target: Path) -> Path:
        done = real(self, target)
        seen.append((out / "manifest.json").exists())
        return done

    monkeypatch.setattr(Path, "rename", rename)
    export(out, overwrite=True)
    assert seen == [False] * (len(seen) - 1) + [True]


def test_what_is_no_bundle_is_refused_and_left_alone(tmp_path: Path) -> None:
    out = fill(tmp_path / "out", {"mine": "mine"})
    for overwrite in (False, True):
        assert "already exists" in refusal(out, overwrite)
        assert "is a file" in refusal(out / "mine", overwrite)
        assert "is a file" in refusal(out / "mine" / "below", overwrite)
    assert files_of(out) == {"mine": "mine"}


def test_a_folder_that_came_in_the_meantime_is_left_alone(tmp_path: Path) -> None:
    place = destination(tmp_path / "out", False)
    with staged(place) as folder:
        fill(folder, NEW)
        fill(place, {"mine": "mine"})
        with pytest.raises(OSError, match="not empty"):
            put(folder, place)
    assert files_of(tmp_path / "out") == {"mine": "mine"}


def test_what_an_export_that_was_killed_left_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    place = destination(tmp_path / "out", False)
    context = staged(place)
    fill(context.__enter__(), NEW)
    export(tmp_path / "out")
    assert NEW.keys() < {path.name for path in (tmp_path / "out").iterdir()}


@pytest.mark.parametrize("out", ["/proc/self/out", "/proc/out/b", "x" * 300, "loop/b", "nul\0b"])
def test_a_place_that_cannot_be_written_is_found_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("loop").symlink_to("loop")
    assert "the output folder cannot be made" in refusal(Path(out))
    assert os.listdir() == ["loop"]


def test_a_full_disk_is_found_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: usage(10 << 20))
    message = refusal(tmp_path / "a" / "b")
    assert "too little room" in message
    assert "10 MB free" in message


def test_a_manifest_that_is_not_read_does_not_matter(tmp_path: Path) -> None:
    """Of a format of long ago, or damaged; ``..`` in it reaches nothing."""
    (tmp_path / "mine").write_text("mine")
    for manifest in ("{", "[]", '{"files": 3}', json.dumps({"files": {"../mine": 1}})):
        out = fill(tmp_path / "out", {"manifest.json": manifest, "weights": "old"})
        export(out, overwrite=True)
        assert files_of(out) == NEW
    assert (tmp_path / "mine").read_text() == "mine"
