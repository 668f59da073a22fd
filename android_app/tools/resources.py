"""python3 resources.py VERSION_CODE VERSION_NAME: compiles and links the app's resources, and writes R.java.

With SEEDTUNE_DEBUGGABLE=1 in the environment the app is debuggable, which ART compiles worse.

The manifest in the APK is the source's with the package's name in it, which Gradle takes from its own script
and warns of elsewhere, and with libraries that are mapped out of the APK, as Gradle has them since Android 6.

Also takes the classes out of the two AARs that Robolectric asks for, which Maven does not put on a class path.
"""

from __future__ import annotations

import os
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from layout import (
    ANDROID_JAR,
    MANIFEST,
    MIN_SDK,
    PACKAGE,
    RESOURCES,
    TARGET,
    TARGET_SDK,
    TOOLS,
    aapt2,
    call,
    unpack,
)

ANDROID = "http://schemas.android.com/apk/res/android"


def main(version_code: str, version_name: str) -> None:
    """Writes target/resources.ap_ and target/generated."""
    for name in ("monitor", "espresso-idling-resource"):
        unpack(TOOLS / f"{name}.aar", "classes.jar", TOOLS / f"{name}-classes.jar")
    generated = TARGET / "generated"
    generated.mkdir(parents=True, exist_ok=True)
    write_manifest(Path("src/main/AndroidManifest.xml"), MANIFEST)
    compiled = TARGET / "resources.zip"
    tool = aapt2()
    call(tool, "compile", "--dir", "src/main/res", "-o", compiled)
    call(
        *(tool, "link", "-I", ANDROID_JAR, "--manifest", MANIFEST, "--java", generated),
        *("--min-sdk-version", str(MIN_SDK), "--target-sdk-version", str(TARGET_SDK)),
        *("--version-code", version_code, "--version-name", version_name, "--auto-add-overlay"),
        *(["--debug-mode"] if os.environ.get("SEEDTUNE_DEBUGGABLE") == "1" else []),
        *("-o", RESOURCES, compiled),
    )


def write_manifest(source: Path, destination: Path) -> None:
    """``source`` with what aapt2 wants to be told in it."""
    ElementTree.register_namespace("android", ANDROID)
    manifest = ElementTree.parse(source)
    application = manifest.getroot().find("application")
    assert application is not None
    manifest.getroot().set("package", PACKAGE)
    application.set(f"{{{ANDROID}}}extractNativeLibs", "false")
    manifest.write(destination, encoding="utf-8", xml_declaration=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
