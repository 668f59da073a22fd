"""Several processes on one cache file: whoever comes first makes it, and nobody spoils it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from context_lab import LAYOUTS, header_for, key_of, made_up_block, read_by_hand, same_block, whole
from filelock import FileLock

from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.context.cache_file import CacheFile
from seedtune.runtime.context.contexts import Contexts
from seedtune.runtime.graphs.mapped import MappedGraphs
from seedtune.runtime.task.example import Example

LAYOUT = LAYOUTS["fp16"]
# Builds a cache of the texts on stdin, once the file argv[4] is there; says how many rows it computed itself.
SCRIPT = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from context_lab import encoded_rows, without_context
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.graphs.mapped import MappedGraphs
from seedtune.runtime.context.contexts import Contexts

bundle = Bundle.open(Path(sys.argv[2]))
first, *others = encoded_rows(bundle, sys.stdin.read().split("|"))
rows = [without_context(first), *others]
print("ready", flush=True)
while not Path(sys.argv[4]).exists():
    time.sleep(0.001)
contexts = Contexts(MappedGraphs(bundle, 1), rows, Path(sys.argv[3]))
made = list(contexts.build())
contexts.blocks(range(len(rows)))
print(len(made))
"""


def test_processes_that_build_the_same_cache_at_once_build_it_once(
    suffix_bundle: Path, causal: Bundle, rows: list[Example], texts: list[str], cache_path: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", SCRIPT, Path(__file__).parent, suffix_bundle, cache_path, tmp_path / "go"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            list(map(str, command)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("|".join(texts))
        process.stdin.close()
        process.stdin = None
    for process in processes:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "ready\n", process.stderr.read()
    (tmp_path / "go").touch()
    made = []
    for process in processes:
        stdout, stderr = process.communicate(timeout=60)
        assert process.returncode == 0, stderr
        made.append(int(stdout))
    assert sorted(made) == [0, 0, 39]
    assert len(read_by_hand(cache_path.read_bytes())[1]) == 39
    alone = Contexts(MappedGraphs(causal, 1), rows, tmp_path / "alone")
    list(alone.build())
    shared = Contexts(MappedGraphs(causal), rows, cache_path)
    for one, other in zip(shared.blocks(range(40)), alone.blocks(range(40)), strict=True):
        assert same_block(one, other)


def test_what_another_process_added_meanwhile_is_kept_and_not_computed_again(
    causal: Bundle, rows: list[Example], cache_path: Path
) -> None:
    late = Contexts(MappedGraphs(causal, 1), rows, cache_path)
    assert late.plan().missing_rows == 39
    list(Contexts(MappedGraphs(causal, 1), rows[:30], cache_path).build())
    raw = cache_path.read_bytes()
    assert len(list(late.build())) == 10
    assert cache_path.read_bytes()[: len(raw)] == raw
    assert len(read_by_hand(cache_path.read_bytes())[1]) == 39


def test_a_reader_is_not_disturbed_by_what_is_appended(causal: Bundle, rows: list[Example], cache_path: Path) -> None:
    list(Contexts(MappedGraphs(causal, 1), rows[:10], cache_path).build())
    reader = Contexts(MappedGraphs(causal), rows[:10], cache_path)
    before = [whole(block) for block in reader.blocks(range(5))]
    list(Contexts(MappedGraphs(causal, 1), rows, cache_path).build())
    assert all(same_block(one, other) for one, other in zip(reader.blocks(range(5)), before, strict=True))
    assert len(reader.blocks(range(10))) == 10


def test_the_lock_is_free_again_after_a_build(causal: Bundle, rows: list[Example], cache_path: Path) -> None:
    list(Contexts(MappedGraphs(causal, 1), rows[:3], cache_path).build())
    with FileLock(f"{cache_path}.lock", timeout=0):
        pass


def test_a_file_that_another_process_makes_at_the_same_moment_is_shared(
    filled: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other process makes the file after this one saw that there is none."""
    exists, cache_path = Path.exists, filled(LAYOUT, ()).with_name("new.contexts")

    def late(path: Path, **options: bool) -> bool:
        found = exists(path, **options)
        if path == cache_path and not found:
            path.write_bytes((path.parent / "train.contexts").read_bytes())
        return found

    monkeypatch.setattr(Path, "exists", late)
    CacheFile(cache_path, header_for(LAYOUT)).close()


def test_entries_of_a_process_that_made_the_file_at_the_same_moment_are_kept(
    filled: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other process writes header and an entry after this one found the file empty; both then go on."""
    shared = filled(LAYOUT, ()).with_name("new.contexts")
    shared.touch()
    write = CacheFile._write
    others: list[CacheFile] = []

    def late(self: CacheFile, offset: int, parts: Iterable[bytes | memoryview]) -> None:
        patch.undo()
        others.append(CacheFile(shared, header_for(LAYOUT)))
        others[0].append(key_of(0), made_up_block(LAYOUT, 3, 0))
        write(self, offset, parts)

    with monkeypatch.context() as patch:
        patch.setattr(CacheFile, "_write", late)
        CacheFile(shared, header_for(LAYOUT)).close()
    if others:
        others[0].append(key_of(1), made_up_block(LAYOUT, 2, 1))
        others[0].close()
        assert [entry.key for entry in read_by_hand(shared.read_bytes())[1]] == [key_of(0), key_of(1)]
