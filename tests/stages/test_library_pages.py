"""Pages of libraries can be given back at any time: memory falls, and nothing that ran before runs otherwise."""

from __future__ import annotations

import json
import mmap
import subprocess
import sys
from ctypes import addressof, c_char

import pytest

from seedtune.runtime.stages.library_pages import MAPS, LibraryPages, PageGuard, clean_library_mappings, resident_bytes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="pages are given back on Linux only")

CODE = "7f0000000000-7f0000100000 r-xp 00001000 fe:00 11 /usr/lib/libonnx.so.1.28"
TABLES = "7f0000200000-7f0000300000 r--p 00001000 fe:00 11 /usr/lib/libonnx.so.1.28"
RELOCATED = "7f0000300000-7f0000400000 r--p 00002000 fe:00 11 /usr/lib/libonnx.so.1.28"
DATA = "7f0000400000-7f0000500000 rw-p 00003000 fe:00 11 /usr/lib/libonnx.so.1.28"
HEAP = "55d000000000-55d000200000 r--p 00000000 00:00 0 [heap]"
WEIGHTS = "7f0000600000-7f0000700000 r--s 00000000 fe:00 12 /models/weights.bin"
NAMELESS = "7f0000700000-7f0000800000 r-xp 00000000 00:00 0 "


def smaps(*mappings: tuple[str, int]) -> str:
    return "".join(f"{line}\nSize: 1024 kB\nRss: 64 kB\nAnonymous: {own} kB\nVmFlags: rd\n" for line, own in mappings)


def test_only_unchanged_mappings_of_libraries_that_nobody_writes_to_are_found() -> None:
    text = smaps((CODE, 0), (TABLES, 0), (RELOCATED, 4), (DATA, 0), (HEAP, 0), (WEIGHTS, 0), (NAMELESS, 0))
    assert clean_library_mappings(text) == {CODE, TABLES}


@pytest.mark.parametrize("text", ["", "no mapping\n", f"{CODE}\n", f"{CODE}\nAnonymous:\n"])
def test_a_text_that_does_not_say_what_is_unchanged_names_nothing(text: str) -> None:
    assert clean_library_mappings(text) == frozenset()


def test_memory_that_lies_where_a_library_was_stays_as_it_is() -> None:
    memory = mmap.mmap(-1, 4 * mmap.PAGESIZE)
    memory[:] = b"\x07" * len(memory)
    start = addressof(c_char.from_buffer(memory))
    gone = f"{start:x}-{start + len(memory):x} r-xp 00000000 fe:00 11 /usr/lib/libgone.so"
    assert gone not in MAPS.read_text()
    LibraryPages(frozenset([gone])).give_back()
    assert memory[:] == b"\x07" * len(memory)


def test_without_mappings_nothing_is_given_back_and_nothing_fails() -> None:
    nothing = LibraryPages(frozenset())
    nothing.give_back()
    PageGuard(nothing, 0).look()


PROGRAM = """
import json, sys
import numpy as np, onnxruntime
from seedtune.runtime.stages.library_pages import LibraryPages, PageGuard, resident_bytes
from seedtune.runtime.telemetry.memory import read_memory
from onnx import TensorProto, helper

shape = [64, 64]
graph = helper.make_graph(
    [helper.make_node("MatMul", ["x", "x"], ["y"])], "square",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
x = np.random.default_rng(3).standard_normal(shape, dtype=np.float32)
once = session.run(None, {"x": x})[0]
guard = PageGuard(LibraryPages.found(), int(sys.argv[1]))
before = read_memory()
guard.begin()
after = read_memory()
again = session.run(None, {"x": x})[0]
print(json.dumps([before.rss_file_bytes, after.rss_file_bytes, before.rss_anon_bytes, after.rss_anon_bytes,
                  bool((once == again).all()), resident_bytes(), read_memory().vm_rss_bytes]))
"""


def guarded(limit_bytes: int) -> list[int]:
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(limit_bytes)], capture_output=True, text=True, check=True
    )
    return json.loads(found.stdout)


def test_near_its_limit_a_process_gives_most_library_pages_back_and_computes_the_same() -> None:
    file_before, file_after, own_before, own_after, equal, resident, said_by_status = guarded(1)
    assert equal
    assert file_after < file_before / 2
    # Counters of the kernel lag by some pages a processor.
    assert abs(own_after - own_before) < 2_000_000
    assert abs(resident - said_by_status) < 4_000_000


def test_far_from_its_limit_a_process_keeps_its_pages() -> None:
    file_before, file_after, *_ = guarded(1 << 40)
    assert file_after >= file_before
    assert resident_bytes() > 0
