"""ONNX Runtime for Android by hash: what is taken, what is refused and with which words. No build is needed."""

from __future__ import annotations

import hashlib
import io
import json
import os
import struct
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
from golden import ENGINE

TOOLS = ENGINE / "tools"
LIBRARY = "jni/arm64-v8a/libonnxruntime.so"
MEMBER = "package/Plugins/Android/onnxruntime.aar"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def aar(**members: bytes) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return written.getvalue()


def package(content: bytes) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        for name, said in ((MEMBER, content), ("package/LICENSE", b"MIT"), ("package/ThirdPartyNotices.txt", b"parts")):
            info = tarfile.TarInfo(name)
            info.size = len(said)
            archive.addfile(info, io.BytesIO(said))
    return written.getvalue()


class Registry:
    """Copies of the tool and of its pins, and package managers that serve what they are given."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("aar.py", "layout.py"):
            (folder / name).write_text((TOOLS / name).read_text())
        (folder / "bin").mkdir()
        (folder / "app").mkdir()
        self.pins: dict[str, Any] = tomllib.loads((TOOLS / "aar.toml").read_text())
        self.good = aar(**{"classes.jar": b"classes", LIBRARY: b"library"})
        self.pins["members"] = {"classes.jar": sha256(b"classes"), LIBRARY: sha256(b"library")}
        self.pins["npm"] |= {"aar_sha256": sha256(self.good), "sha256": sha256(package(self.good))}
        for tool in ("npm", "mvn"):
            self.serves(tool, None)

    def serves(self, tool: str, content: bytes | None) -> None:
        """What a package manager puts where it is told to; None is a failure."""
        served = self.folder / f"{tool}.served"
        place = "${@: -1}/a.tgz" if tool == "npm" else "${OUT#-DoutputDirectory=}/a.aar"
        lines = ["#!/bin/bash", 'for OUT in "$@"; do [[ $OUT == -DoutputDirectory=* ]] && break; done']
        lines += [f'cp {served} "{place}"'] if content is not None else ["echo not served >&2", "exit 1"]
        served.write_bytes(content or b"")
        (self.folder / "bin" / tool).write_text("\n".join(lines) + "\n")
        (self.folder / "bin" / tool).chmod(0o755)

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        pins = self.folder / "aar.toml"
        tables = ["maven", "npm", "members"]
        lines = [f"version = {json.dumps(self.pins['version'])}"]
        for table in tables:
            lines += [
                f"[{table}]",
                *(f"{json.dumps(key)} = {json.dumps(value)}" for key, value in self.pins[table].items()),
            ]
        pins.write_text("\n".join(lines) + "\n")
        environment = {"PATH": f"{self.folder / 'bin'}:/usr/bin:/bin", "SEEDTUNE_CACHE": str(self.folder / "cache")}
        return subprocess.run(
            [sys.executable, self.folder / "aar.py", *arguments], cwd=self.folder / "app", env=os.environ | environment,
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    @property
    def taken(self) -> Path:
        return self.folder / "app" / "target" / "tools" / "onnxruntime-android.aar"


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path)


def test_maven_comes_first_npm_is_asked_where_it_has_none_and_the_source_is_told(registry: Registry) -> None:
    registry.serves("npm", package(registry.good))
    done = registry.call()
    assert done.returncode == 0, done.stderr
    assert "from npm (com.github.asus4.onnxruntime@" in done.stdout
    assert registry.taken.read_bytes() == registry.good
    # What was fetched once is kept: neither is asked again.
    registry.serves("npm", None)
    registry.taken.unlink()
    assert "from npm" in registry.call().stdout
    assert registry.taken.read_bytes() == registry.good


def test_of_mavens_aar_classes_and_libraries_must_be_the_pinned_ones(registry: Registry) -> None:
    # Its manifest is another, so its own hash is, too.
    registry.serves(
        "mvn", aar(**{"classes.jar": b"classes", LIBRARY: b"library", "AndroidManifest.xml": b"<manifest/>"})
    )
    assert "from Maven (com.microsoft.onnxruntime:onnxruntime-android:" in registry.call().stdout
    assert registry.call("--verify").returncode == 0


@pytest.mark.parametrize("changed", ["package", "aar", "library", "missing"])
def test_what_differs_is_refused_with_both_hashes_and_nothing_is_kept(registry: Registry, changed: str) -> None:
    other = aar(**{"classes.jar": b"classes", **({} if changed == "missing" else {LIBRARY: b"other"})})
    registry.serves("npm", package(other))
    found, expected = sha256(package(other)), registry.pins["npm"]["sha256"]
    if changed != "package":
        registry.pins["npm"]["sha256"] = found
        found, expected = sha256(other), registry.pins["npm"]["aar_sha256"]
    if changed in ("library", "missing"):
        registry.pins["npm"]["aar_sha256"] = found
        found, expected = sha256(b"other"), sha256(b"library")
    registry.taken.parent.mkdir(parents=True)
    registry.taken.write_bytes(b"of an earlier build")
    done = registry.call()
    assert done.returncode != 0
    assert f"has no {LIBRARY}" in done.stderr if changed == "missing" else found in done.stderr
    assert changed == "missing" or expected in done.stderr
    assert not registry.taken.exists()
    assert not list(registry.folder.glob("cache/**/*.aar"))


def test_a_kept_aar_that_was_changed_is_fetched_again(registry: Registry) -> None:
    registry.serves("npm", package(registry.good))
    registry.call()
    (kept,) = registry.folder.glob("cache/**/*.aar")
    kept.write_bytes(kept.read_bytes()[:-30])
    assert registry.call().returncode == 0
    assert kept.read_bytes() == registry.good


def test_without_a_source_the_build_goes_on_and_verifying_says_that_it_cannot(registry: Registry) -> None:
    done = registry.call()
    assert done.returncode == 0
    assert "no ONNX Runtime for Android: Maven:" in done.stderr
    assert "; npm:" in done.stderr
    assert not registry.taken.exists()
    verified = registry.call("--verify")
    assert verified.returncode == 2
    assert "cannot be verified here" in verified.stderr


def test_verifying_finds_another_library_at_maven(registry: Registry) -> None:
    registry.serves("mvn", aar(**{"classes.jar": b"classes", LIBRARY: b"other"}))
    done = registry.call("--verify")
    assert done.returncode == 1
    assert sha256(b"other") in done.stderr
    assert sha256(b"library") in done.stderr


def test_pythons_runtime_has_no_address_to_send_anything_to() -> None:
    libraries = [*Path(onnxruntime.__file__).parent.rglob("*.so*")]
    assert libraries
    for library in libraries:
        assert b"events.data.microsoft.com" not in library.read_bytes(), library


def test_the_pinned_version_is_that_of_the_project() -> None:
    version = tomllib.loads((TOOLS / "aar.toml").read_text())["version"]
    assert f"onnxruntime=={version}\n" in (ENGINE.parent / "constraints.txt").read_text()


def test_a_library_that_a_phone_would_refuse_ends_the_build(tmp_path: Path) -> None:
    header = bytearray(64 + 56)
    header[:6] = b"\x7fELF\x02\x01"
    struct.pack_into("<H", header, 18, 183)
    struct.pack_into("<Q", header, 32, 64)
    struct.pack_into("<HH", header, 54, 56, 1)
    struct.pack_into("<I", header, 64, 1)
    for alignment, machine, message in (
        (16384, 183, ""),
        (4096, 183, "aligned to 4,096"),
        (16384, 62, "no library for arm64"),
    ):
        struct.pack_into("<Q", header, 64 + 48, alignment)
        struct.pack_into("<H", header, 18, machine)
        program = "import sys, native; native.require_loadable('lib.so', sys.stdin.buffer.read(), 'arm64-v8a')"
        done = subprocess.run(
            [sys.executable, "-c", program], input=bytes(header), cwd=ENGINE / "tools", capture_output=True, check=False
        )
        assert (done.returncode == 0) == (not message)
        assert message in done.stderr.decode()
