"""python3 resources.py VERSION_CODE VERSION_NAME: compiles and links the app's resources, and writes R.java.

With SEEDTUNE_DEBUGGABLE=1 in the environment the app is debuggable, which ART compiles worse.

Also takes the classes out of the two AARs that Robolectric asks for, which Maven does not put on a class path.
"""

from __future__ import annotations

import os
import sys

from layout import ANDROID_JAR, MIN_SDK, RESOURCES, TARGET, TARGET_SDK, TOOLS, aapt2, call, unpack


def main(version_code: str, version_name: str) -> None:
    """Writes target/resources.ap_ and target/generated."""
    for name in ("monitor", "espresso-idling-resource"):
        unpack(TOOLS / f"{name}.aar", "classes.jar", TOOLS / f"{name}-classes.jar")
    generated = TARGET / "generated"
    generated.mkdir(parents=True, exist_ok=True)
    compiled = TARGET / "resources.zip"
    tool = aapt2()
    call(tool, "compile", "--dir", "src/main/res", "-o", compiled)
    call(
        *(tool, "link", "-I", ANDROID_JAR, "--manifest", "src/main/AndroidManifest.xml", "--java", generated),
        *("--min-sdk-version", str(MIN_SDK), "--target-sdk-version", str(TARGET_SDK)),
        *("--version-code", version_code, "--version-name", version_name, "--auto-add-overlay"),
        *(["--debug-mode"] if os.environ.get("SEEDTUNE_DEBUGGABLE") == "1" else []),
        *("-o", RESOURCES, compiled),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
