"""Files to the phone, through the real adb: only what changed, on from a cut, verified, and nothing half."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from pathlib import Path

import pytest
from standin_phone import StandIn, close_shared_storage

from seedtune.runtime.device.adb.phone import Phone
from seedtune.runtime.device.app.access import Access, find_access
from seedtune.runtime.device.files.listing import available_bytes, list_files
from seedtune.runtime.device.files.plan import Sent, bundle_files, data_files
from seedtune.runtime.device.files.push import push
from seedtune.runtime.errors import SeedTuneError


def made(folder: Path, name: str, size: int) -> Sent:
    content = hashlib.shake_128(name.encode()).digest(size)
    (folder / name).write_bytes(content)
    return Sent(folder / name, "bundles/b", name, size, hashlib.sha256(content).hexdigest())


@pytest.fixture
def files(tmp_path: Path) -> list[Sent]:
    return [
        made(tmp_path, "small.onnx", 10_000),
        made(tmp_path, "empty", 0),
        made(tmp_path, "it's $HOME.bin", 3_000_001),
    ]


def contents(standin: StandIn) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (standin.files / "bundles" / "b").iterdir()}


def test_what_arrives_is_what_was_sent_and_a_second_push_sends_nothing(
    access: Access, standin: StandIn, files: list[Sent]
) -> None:
    first = push(access, files)
    assert contents(standin) == {file.name: file.source.read_bytes() for file in files}
    assert first.sent_bytes == sum(file.size_bytes for file in files)
    heard = len(standin.heard)
    second = push(access, files)
    assert (second.sent, second.sent_bytes) == ((), 0)
    assert set(second.unchanged) == {file.place for file in files}
    assert not any("sha256sum" in service for service in standin.heard[heard:]), "what was noted is hashed again"


def test_only_what_changed_is_sent(access: Access, standin: StandIn, files: list[Sent], tmp_path: Path) -> None:
    push(access, files)
    # Of the same size, so that only the hash tells; written on the phone, so that its note no longer holds.
    changed = standin.files / "bundles" / "b" / "small.onnx"
    changed.write_bytes(bytes(10_000))
    # Not within the second of the push, which is all that the phone's `stat` tells.
    os.utime(changed, (time.time() + 2, time.time() + 2))
    done = push(access, files)
    assert done.sent == ("bundles/b/small.onnx",)
    assert contents(standin)["small.onnx"] == files[0].source.read_bytes()


def test_a_push_goes_on_from_where_the_cable_was_pulled(access: Access, standin: StandIn, tmp_path: Path) -> None:
    big = made(tmp_path, "weights.safetensors", 24_000_000)
    cuts: list[int] = []

    def cut(_place: str, done: int, _of: int) -> None:
        if len(cuts) < 3 and done > 5_000_000 * (len(cuts) + 1):
            cuts.append(done)
            standin.cut()

    done = push(access, [big], progress=cut)
    assert len(cuts) == 3
    assert contents(standin) == {big.name: big.source.read_bytes()}
    # What is in flight at a cut is sent again: the buffers of adb, of TCP and of the pipe, a few megabytes here.
    assert done.sent_bytes < big.size_bytes + 3 * 8_000_000


# OPT-1.3B in 8 bits takes 1.4 GB.
@pytest.mark.parametrize("size_bytes", [24_000_000, pytest.param(1_400_000_000, marks=pytest.mark.slow)])
def test_a_push_that_ended_goes_on_in_another_process(
    access: Access, standin: StandIn, tmp_path: Path, size_bytes: int
) -> None:
    big = made(tmp_path, "weights.safetensors", size_bytes)

    class EndedError(Exception):
        pass

    def end(_place: str, done: int, _of: int) -> None:
        if done > size_bytes // 2:
            raise EndedError

    with pytest.raises(EndedError):
        push(access, [big], progress=end)
    assert big.name not in contents(standin), "half a file has its name"
    done = push(access, [big])
    assert contents(standin) == {big.name: big.source.read_bytes()}
    # What was in flight at the end is sent again.
    assert done.resumed_bytes > size_bytes // 2 - 8_000_000
    assert done.sent_bytes + done.resumed_bytes == big.size_bytes


def test_a_beginning_of_other_content_is_thrown_away(access: Access, standin: StandIn, files: list[Sent]) -> None:
    folder = standin.files / "bundles" / "b"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".part-0123456789abcdef-small.onnx").write_bytes(b"of an older export")
    # One whose name is right and whose bytes are not: the phone's hash tells, and it is sent once more.
    (folder / f".part-{files[2].sha256[:16]}-{files[2].name}").write_bytes(bytes(1_000_000))
    push(access, files)
    assert contents(standin) == {file.name: file.source.read_bytes() for file in files}


def test_too_little_storage_is_said_before_anything_is_sent(
    access: Access, standin: StandIn, files: list[Sent]
) -> None:
    standin.most_free_bytes = 50 << 20
    standin.publish()
    with pytest.raises(SeedTuneError, match="18 MB are missing"):
        push(access, files)
    assert not (standin.files / "bundles" / "b").exists()


def test_storage_that_fills_up_on_the_way_is_an_error_and_what_arrived_stays(
    access: Access, standin: StandIn, tmp_path: Path
) -> None:
    big = made(tmp_path, "weights.safetensors", 6_000_000)
    standin.full_after_bytes = 2 << 20
    with pytest.raises(SeedTuneError, match="does not take this file"):
        push(access, [big])
    standin.full_after_bytes = None
    done = push(access, [big])
    assert done.resumed_bytes > 1_000_000
    assert contents(standin) == {big.name: big.source.read_bytes()}


def test_a_phone_that_stays_away_is_given_up(access: Access, standin: StandIn, tmp_path: Path) -> None:
    big = made(tmp_path, "weights.safetensors", 8_000_000)

    def pull_the_cable(_place: str, done: int, _of: int) -> None:
        if done > 2_000_000:
            standin.switch_off()

    with pytest.raises(SeedTuneError, match="cannot be reached"):
        push(access, [big], progress=pull_the_cable, patience_seconds=0.5)


def test_a_slow_link_is_waited_for(access: Access, standin: StandIn, tmp_path: Path) -> None:
    standin.bytes_a_second = 1_000_000
    standin.cut()
    access.phone.reconnect()
    big = made(tmp_path, "weights.safetensors", 1_500_000)
    began = time.monotonic()
    push(access, [big])
    assert time.monotonic() - began > 1.0, "the link was not slow"
    assert contents(standin) == {big.name: big.source.read_bytes()}


def test_a_bundle_is_complete_when_its_manifest_is_there(
    access: Access, standin: StandIn, tiny_bundle: Path, adb: object
) -> None:
    files = bundle_files(tiny_bundle, "tiny")
    assert files[-1].name == "manifest.json"
    order: list[str] = []
    push(access, files, progress=lambda place, _done, _of: order.append(place))
    assert order[-1] == "bundles/tiny/manifest.json"
    from seedtune.runtime.bundle.reader import Bundle

    there = Bundle.open(standin.files / "bundles" / "tiny")
    assert there.sha256 == Bundle.open(tiny_bundle).sha256


def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, tiny_bundle: Path) -> None:
    for name in ("../b", "a/b", ".hidden", "", "a\nb", "x" * 300):
        with pytest.raises(SeedTuneError, match="not the name"):
            bundle_files(tiny_bundle, name)
    with pytest.raises(SeedTuneError, match="JSON lines only"):
        data_files([tmp_path / "rows.csv"])


def test_files_are_reached_as_the_app_where_the_shell_may_not_write(
    standin: StandIn, phone: Phone, files: list[Sent]
) -> None:
    close_shared_storage(standin)
    access = find_access(phone)
    assert access.as_app
    push(access, files)
    place = standin.root / "data" / "data" / "org.seedtune.app" / "files" / "bundles" / "b"
    assert {path.name: path.read_bytes() for path in place.iterdir()} == {f.name: f.source.read_bytes() for f in files}
    (standin.root / "run_as_refused").touch()
    with pytest.raises(SeedTuneError, match="cannot be reached") as refused:
        find_access(phone)
    assert "package not debuggable" in str(refused.value)


def test_listing_never_gives_a_name_that_leads_elsewhere(access: Access, standin: StandIn) -> None:
    folder = standin.files / "data"
    (folder / "good.jsonl").write_text("x")
    (folder / "bad\x1b[31m.jsonl").write_text("x")
    (folder / "two\n5 5 ..").write_text("x")
    assert set(list_files(access, "data")) <= {"good.jsonl", "bad.jsonl", "two"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Filesystem 1K-blocks Used Available Use% Mounted on\n/dev/fuse 100 40 60 40% /sdcard", 60 << 10),
        (
            "Filesystem     1K-blocks  Used Available Use% Mounted on\n/data/media  2000 5 1995 1% /storage/x y",
            1995 << 10,
        ),
        ("Filesystem Size Used Avail Use% Mounted on\n/dev/fuse 1G 1G 7 9% /", 7 << 10),
        ("df: /sdcard: Permission denied", None),
        ("", None),
        ("Filesystem 1K-blocks Used Available Use% Mounted on", None),
    ],
)
def test_free_storage_is_read_by_the_name_of_its_column(text: str, expected: int | None) -> None:
    assert available_bytes(text) == expected


def test_threads_of_calls_end(access: Access, files: list[Sent]) -> None:
    before = threading.active_count()
    push(access, files)
    assert threading.active_count() <= before + 2
