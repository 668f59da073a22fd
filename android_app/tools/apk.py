"""python3 apk.py: from classes and resources to signed, aligned, verified APKs; prints their sizes and SHA-256.

With ONNX Runtime for Android they are target/seedtune.apk, for phones (arm64-v8a), and target/seedtune-x86_64.apk, for
Android on such computers. Without it there is target/seedtune-no-runtime.apk, which cannot tune. Beside them lies
target/seedtune.cdx.json, the bill of what they are made of; the licences of that are an asset of the APK.

Signed with a debug key made on first use, or with a release key: SEEDTUNE_KEYSTORE (PKCS12) and
SEEDTUNE_KEYSTORE_PASSWORD. SEEDTUNE_RELEASE=1 refuses what should not be given to others.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from pathlib import Path

from archive import assemble, require_aligned
from components import bill, licences
from layout import (
    ANDROID_JAR,
    MIN_SDK,
    NOTICES,
    PHONE,
    RUNTIME_AAR,
    RUNTIME_JARS,
    TARGET,
    TOOLS,
    call,
    copy_members,
    has_runtime,
    java,
    java_home,
    project_version,
    unpack,
)
from native import libraries

LICENCES = "licences.txt"
BILL = TARGET / "seedtune.cdx.json"
LOUD = """
**************************************************************************
  ONNX Runtime for Android was not there: {name} CANNOT TUNE.
  Build again where Maven reaches com.microsoft.onnxruntime:onnxruntime-android, or npm is installed.
**************************************************************************"""


def main() -> None:
    """Builds and reports."""
    names = {"seedtune.apk": PHONE, "seedtune-x86_64.apk": "x86_64"}
    if not has_runtime():
        names = {"seedtune-no-runtime.apk": PHONE}
        print(LOUD.format(name=next(iter(names))), file=sys.stderr)
    for old in TARGET.glob("seedtune*.apk"):
        old.unlink()
    require_releasable()
    dex, unsigned = dexed(), TARGET / "unsigned.apk"
    assets = {LICENCES: licences().encode()}
    for name, abi in names.items():
        apk = TARGET / name
        assemble(unsigned, dex, abi, libraries(abi), assets)
        java(TOOLS / "apksig.jar", Path(__file__).with_name("Sign.java"), keystore(), unsigned, apk, str(MIN_SDK))
        require_aligned(apk)
        print(f"{apk}: {apk.stat().st_size:,} bytes, sha256 {hashlib.sha256(apk.read_bytes()).hexdigest()}")
    unsigned.unlink()
    BILL.write_text(bill(project_version(), [TARGET / name for name in names]))
    print(f"{BILL}: what they are made of")


def require_releasable() -> None:
    """Ends the build of a release that would have no runtime, no notices, a debug key, or a door for debuggers."""
    if os.environ.get("SEEDTUNE_RELEASE") != "1":
        return
    for right, wrong in (
        (has_runtime(), "has no ONNX Runtime"),
        (NOTICES.is_file(), "has no notices of ONNX Runtime's parts, which are to go with it"),
        (
            os.environ.get("SEEDTUNE_KEYSTORE"),
            "needs a key of your own: SEEDTUNE_KEYSTORE and SEEDTUNE_KEYSTORE_PASSWORD",
        ),
        (os.environ.get("SEEDTUNE_DEBUGGABLE") != "1", "must not be debuggable: unset SEEDTUNE_DEBUGGABLE"),
    ):
        if not right:
            sys.exit(f"error: this release {wrong}")


def dexed() -> list[Path]:
    """The classes of app, engine and libraries as Android runs them."""
    out = TARGET / "dex"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    work = TARGET / "dex-input"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    own = Path(shutil.make_archive(str(work / "own"), "zip", TARGET / "classes"))
    jars = [copy_members(own, work / "own.jar", _is_class)]
    for jar in sorted(RUNTIME_JARS.glob("*.jar")):
        # The AAR brings the same classes as the jar for desktops.
        if has_runtime() and jar.name.startswith("onnxruntime"):
            continue
        jars.append(copy_members(jar, work / jar.name, _is_class))
    if has_runtime():
        jars.append(unpack(RUNTIME_AAR, "classes.jar", work / "onnxruntime-android.jar"))
    java(
        *(TOOLS / "r8.jar", "com.android.tools.r8.D8", "--release", "--min-api", str(MIN_SDK)),
        # Of java.* the library of Robolectric has nothing.
        *("--lib", java_home(), "--lib", ANDROID_JAR, "--output", out, *jars),
    )
    return sorted(out.glob("*.dex"))


def _is_class(name: str) -> bool:
    return name.endswith(".class") and not name.startswith("META-INF/") and name != "module-info.class"


def keystore() -> Path:
    """The release keystore of the environment, or a debug one."""
    given = os.environ.get("SEEDTUNE_KEYSTORE")
    if given:
        if not os.environ.get("SEEDTUNE_KEYSTORE_PASSWORD"):
            sys.exit("SEEDTUNE_KEYSTORE needs SEEDTUNE_KEYSTORE_PASSWORD")
        return Path(given)
    os.environ["SEEDTUNE_KEYSTORE_PASSWORD"] = "android"
    # Kept outside target, so that an update of the app keeps its signature.
    path = Path("debug.p12")
    if not path.is_file():
        call(
            *(java_home() / "bin" / "keytool", "-genkeypair", "-keystore", path, "-storetype", "PKCS12"),
            *("-storepass", "android", "-alias", "debug", "-keyalg", "RSA", "-keysize", "2048"),
            *("-validity", "10000", "-dname", "CN=SeedTune debug"),
        )
    return path


if __name__ == "__main__":
    main()
