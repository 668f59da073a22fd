"""What an APK is made of, from others: the text with their licences that is in it, and the bill of materials beside it.

The bill is CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/), without times and random numbers, so that equal
builds have equal bills. Maven's own plugin would list the runtime for desktops, which is not in the APK.
"""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from aar import PINS, coordinates, npm_package, source
from layout import NOTICES, RUNTIME_AAR, RUNTIME_JARS, has_runtime

OURS = "seedtune"
APACHE, MIT = "Apache-2.0", "MIT"
# Name of a library -> its group, and who holds the copyright.
LIBRARIES = {
    "kotlin-stdlib": ("org.jetbrains.kotlin", "JetBrains s.r.o. and Kotlin Programming Language contributors"),
    "kotlinx-serialization-core-jvm": ("org.jetbrains.kotlinx", "JetBrains s.r.o. and contributors"),
    "kotlinx-serialization-json-jvm": ("org.jetbrains.kotlinx", "JetBrains s.r.o. and contributors"),
    "annotations": ("org.jetbrains", "JetBrains s.r.o."),
}
RUNTIME_GROUP, RUNTIME = PINS["maven"]["artifact"].split(":")
APACHE_TEXT = Path(__file__).resolve().parents[2] / "LICENSE"


@dataclass(frozen=True)
class Component:
    """A library of others: an artifact of Maven with its hash, its licence (SPDX) and who holds the copyright."""

    group: str
    name: str
    version: str
    sha256: str
    licence: str
    holder: str


def components() -> list[Component]:
    """What is in the APK beside our own classes; ends the build at a library whose licence nobody wrote down."""
    found = []
    for jar in sorted(RUNTIME_JARS.glob("*.jar")):
        name, _, version = jar.stem.rpartition("-")
        if name.startswith(OURS) or name == "onnxruntime":
            continue
        if name not in LIBRARIES:
            sys.exit(f"{jar.name} is to be in the APK, but {Path(__file__).name} does not say under which licence")
        group, holder = LIBRARIES[name]
        found.append(Component(group, name, version, _sha256(jar), APACHE, holder))
    if has_runtime():
        holder = "Microsoft Corporation"
        found.append(Component(RUNTIME_GROUP, RUNTIME, PINS["version"], _sha256(RUNTIME_AAR), MIT, holder))
    return found


def licences() -> str:
    """The text that the app shows: every component, the licences whole, and what ONNX Runtime says of its own parts."""
    parts = ["SeedTune contains the following software of others."]
    for one in components():
        parts.append(f"{one.group}:{one.name} {one.version}\nCopyright {one.holder}\nLicence: {one.licence}")
    parts.append(f"{APACHE}\n\n{APACHE_TEXT.read_text()}")
    if NOTICES.is_file():
        parts.append(f"ONNX Runtime, its licence and what it contains\n\n{NOTICES.read_text('utf-8-sig')}")
    return f"\n\n{'-' * 72}\n\n".join(part.strip() for part in parts) + "\n"


def bill(version: str, apks: list[Path]) -> str:
    """The bill of materials of ``apks``, as JSON."""
    listed = []
    for one in components():
        entry = {
            "type": "library",
            "bom-ref": f"pkg:maven/{one.group}/{one.name}@{one.version}",
            "group": one.group,
            "name": one.name,
            "version": one.version,
            "purl": f"pkg:maven/{one.group}/{one.name}@{one.version}",
            "licenses": [{"license": {"id": one.licence}}],
            "copyright": one.holder,
            "hashes": [{"alg": "SHA-256", "content": one.sha256}],
        }
        if one.name == RUNTIME:
            entry |= _of_the_runtime()
        listed.append(entry)
    files = [
        {"type": "file", "name": apk.name, "hashes": [{"alg": "SHA-256", "content": _sha256(apk)}]} for apk in apks
    ]
    application = {"type": "application", "bom-ref": OURS, "name": "SeedTune", "version": version, "components": files}
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": application | {"licenses": [{"license": {"id": APACHE}}]}},
        "components": listed,
        "dependencies": [{"ref": OURS, "dependsOn": [entry["bom-ref"] for entry in listed]}],
    }
    return json.dumps(document, indent=2) + "\n"


def _of_the_runtime() -> dict[str, object]:
    """Where the AAR came from, and the hashes of what was taken out of it."""
    from_npm = "npm" in (source() or "")
    pinned = PINS["npm"]
    references = [{"type": "distribution", "url": f"pkg:npm/{pinned['package']}@{pinned['version']}"}]
    return {
        "components": [
            {"type": "file", "name": name, "hashes": [{"alg": "SHA-256", "content": content}]}
            for name, content in PINS["members"].items()
        ],
        "externalReferences": references if from_npm else [],
        "properties": [{"name": "source", "value": npm_package() if from_npm else coordinates()}],
    }


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
