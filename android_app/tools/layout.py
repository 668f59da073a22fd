"""Where the build's parts lie, and how its tools are called. Run from Maven in the folder of the app."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
import zipfile
from collections.abc import Callable
from pathlib import Path

TARGET = Path("target")
TOOLS = TARGET / "tools"
RUNTIME_JARS = TARGET / "runtime-jars"
RESOURCES = TARGET / "resources.ap_"
MANIFEST = TARGET / "AndroidManifest.xml"
PACKAGE = "org.seedtune.app"
MIN_SDK, TARGET_SDK = 26, 34
# What an APK is made for -> the machine that its libraries name.
ABIS = {"arm64-v8a": 183, "x86_64": 62}
PHONE = "arm64-v8a"
PAGE_BYTES = 16384
ANDROID_JAR = TOOLS / "android-all.jar"
RUNTIME_AAR = TOOLS / "onnxruntime-android.aar"
# What it says of its own licence, and of those of its parts.
NOTICES = TOOLS / "onnxruntime-notices.txt"
AAPT2 = {"linux": "linux/aapt2", "darwin": "macosx/aapt2", "win32": "windows/aapt2.exe"}


def has_runtime() -> bool:
    """Whether ONNX Runtime for Android is there; without it an APK cannot tune."""
    return RUNTIME_AAR.is_file()


def project_version() -> str:
    """As Maven has it."""
    version = ElementTree.parse("pom.xml").getroot().find("{*}parent/{*}version")
    assert version is not None
    return str(version.text)


def call(*command: str | Path) -> None:
    """Runs a tool; ends the build with its output when it fails."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command[:4]))} ... failed:\n{done.stdout}{done.stderr}")


def java_home() -> Path:
    """The JDK that runs Maven."""
    found = os.environ.get("JAVA_HOME") or shutil.which("java")
    if not found:
        sys.exit("no JDK was found; set JAVA_HOME")
    path = Path(found).resolve()
    return path if path.is_dir() else path.parent.parent


def java(jar: Path, main: str | Path, *arguments: str | Path) -> None:
    """Runs ``main``, a class of ``jar`` or a source file, with the JDK."""
    call(java_home() / "bin" / "java", "-cp", jar, main, *arguments)


def unpack(archive: Path, member: str, destination: Path, mode: int = 0o644) -> Path:
    """One file of an archive."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive) as opened:
        destination.write_bytes(opened.read(member))
    destination.chmod(mode)
    return destination


def aapt2() -> Path:
    """Android's resource compiler, out of apktool's jar."""
    member = AAPT2[sys.platform]
    return unpack(TOOLS / "apktool-lib.jar", f"prebuilt/{member}", TOOLS / Path(member).name, 0o755).resolve()


def copy_members(source: Path, destination: Path, wanted: Callable[[str], bool]) -> Path:
    """A jar of those members of ``source`` that are ``wanted``."""
    with zipfile.ZipFile(source) as opened, zipfile.ZipFile(destination, "w") as out:
        for name in opened.namelist():
            if wanted(name):
                out.writestr(name, opened.read(name))
    return destination
