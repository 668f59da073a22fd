"""A disk that is full, or too small to begin with: a message with figures, and what was there before stays whole."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from context_lab import LAYOUTS, header_for, key_of, made_up_block, read_by_hand, same_block

from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.context.cache_file import CacheFile
from seedtune.runtime.context.contexts import RESERVED_BYTES, Contexts
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.graphs.mapped import MappedGraphs
from seedtune.runtime.task.example import Example

LAYOUT = LAYOUTS["fp32"]
# Appends entries of argv[3] tokens under a limit on the file's size of argv[4] bytes, which stands in for a full disk;
# then lifts the limit, and appends or closes as argv[5] says.
SCRIPT = """
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from context_lab import LAYOUTS, header_for, key_of, made_up_block
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.context.cache_file import CacheFile

tokens, limit = int(sys.argv[3]), int(sys.argv[4])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
layout = LAYOUTS["fp32"]
cache = CacheFile(Path(sys.argv[2]), header_for(layout))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
done = 0
try:
    while True:
        cache.append(key_of(done), made_up_block(layout, tokens, done))
        done += 1
except SeedTuneError as error:
    print(error)
assert set(cache.tokens) == {key_of(number) for number in range(done)}
assert key_of(done) not in cache
if sys.argv[5] == "go on":
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    cache.append(key_of(99), made_up_block(layout, 1, 99))
cache.close()
print("entries:", done)
"""


def fill_up(path: Path, tokens: int, limit: int, then: str) -> subprocess.CompletedProcess:
    arguments = [Path(__file__).parent, path, tokens, limit, then]
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, *map(str, arguments)], capture_output=True, text=True, check=False
    )


# Blocks of 960 bytes, which Python's file buffer holds, and of 76,800 bytes, which it does not.
@pytest.mark.parametrize(("tokens", "limit"), [(5, 5_000), (400, 200_000)])
@pytest.mark.parametrize("then", ["close", "go on"])
def test_a_disk_that_gets_full_leaves_the_entries_before_whole(
    tmp_path: Path, tokens: int, limit: int, then: str
) -> None:
    path = tmp_path / "train.contexts"
    done = fill_up(path, tokens, limit, then)
    assert done.returncode == 0, done.stderr
    assert f"{path}: the context cache cannot be written (File too large)" in done.stdout
    assert "--cache-limit" in done.stdout
    count = int(done.stdout.split("entries:")[1])
    assert count >= 2
    expected = {key_of(number): made_up_block(LAYOUT, tokens, number) for number in range(count)}
    if then == "go on":
        expected[key_of(99)] = made_up_block(LAYOUT, 1, 99)
    with CacheFile(path, header_for(LAYOUT)) as cache:
        assert set(cache.tokens) == set(expected)
        assert all(same_block(cache.block(key), block) for key, block in expected.items())
        if then == "close":
            cache.append(key_of(count), made_up_block(LAYOUT, tokens, count))
    assert len(read_by_hand(path.read_bytes())[1]) == count + 1


class FullFile:
    """A file whose writes fail once ``room`` bytes are taken; the rest of it is the real one."""

    def __init__(self, file: FileIO, room: int) -> None:
        self._file = file
        self._room = room

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)

    def write(self, raw: bytes) -> int:
        part = raw[: self._room]
        self._file.write(part)
        self._room -= len(part)
        if len(part) < len(raw):
            raise OSError(28, "No space left on device")
        return len(raw)


@pytest.mark.parametrize("room", [0, 10, 63, 64, 100])
def test_an_entry_written_in_part_does_not_count(
    filled: Callable[..., Path], room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = filled(LAYOUT, (3, 1))
    with CacheFile(path, header_for(LAYOUT)) as cache:
        monkeypatch.setattr(cache, "_file", FullFile(cache._file, room))
        with pytest.raises(SeedTuneError, match="No space left on device"):
            cache.append(key_of(2), made_up_block(LAYOUT, 4, 2))
        assert set(cache.tokens) == {key_of(0), key_of(1)}
        assert same_block(cache.block(key_of(1)), made_up_block(LAYOUT, 1, 1))
    with CacheFile(path, header_for(LAYOUT)) as cache:
        assert set(cache.tokens) == {key_of(0), key_of(1)}
        cache.append(key_of(2), made_up_block(LAYOUT, 1, 2))
    assert [entry.tokens for entry in read_by_hand(path.read_bytes())[1]] == [3, 1, 1]


def test_a_disk_with_too_little_room_is_refused_with_figures_before_anything_is_computed(
    causal: Bundle, rows: list[Example], cache_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contexts = Contexts(MappedGraphs(causal, 1), rows, cache_path)
    plan = contexts.plan()
    needed = plan.missing_bytes + RESERVED_BYTES
    before = cache_path.read_bytes()
    asked: list[Path] = []

    def usage(path: Path) -> SimpleNamespace:
        asked.append(Path(path))
        return SimpleNamespace(total=10**12, used=0, free=needed - 1)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    monkeypatch.setattr(MappedGraphs, "open", lambda *_: pytest.fail("a graph was opened"))
    with pytest.raises(SeedTuneError, match="the disk has too little room") as caught:
        list(contexts.build())
    assert asked == [cache_path.parent]
    message = str(caught.value)
    assert f"{(needed - 1) / 1e6:,.0f} MB free" in message
    assert f"{needed / 1e6:,.0f} MB for {plan.missing_rows:,} rows" in message
    assert "--cache-limit" in message
    assert cache_path.read_bytes() == before
    monkeypatch.undo()
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=needed))
    list(contexts.build())
    assert contexts.plan().missing_rows == 0


def test_only_what_is_missing_has_to_fit(
    causal: Bundle, rows: list[Example], cache_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    list(Contexts(MappedGraphs(causal, 1), rows[:30], cache_path).build())
    contexts = Contexts(MappedGraphs(causal, 1), rows, cache_path)
    missing = contexts.plan().missing_bytes
    assert 0 < missing < contexts.plan().total_bytes / 2
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=missing + RESERVED_BYTES))
    list(contexts.build())
    assert len(read_by_hand(cache_path.read_bytes())[1]) == contexts.plan().rows
