"""Runs a class with an APK's own bytecode and Android's own libraries, on this machine; see `lab/android/`.

    ./scripts/build_apk                                 first: the APKs, with ONNX Runtime for Android in them
    python scripts/android org.seedtune.engine.TuneProcessKt bundle --out run --train train.jsonl --threads 2
    python scripts/android --bytecode class-files ...   the engine's class files instead of the APK's bytecode
    python scripts/android --abi arm64-v8a ...          seedtune.apk, on an emulated ARM64 processor
    python scripts/android --print CLASS                the command line as JSON, to be started by another program

The program becomes the JVM, so a signal to it reaches the engine. Compiler, translator and emulator come from the
package registries when they are first asked for, into the cache folder of the user.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

# Python puts the folder that it is told to run on the path; its modules bear the names seen from the one above.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from lab.android.command import APKS, command  # noqa: E402
from lab.android.tools import ToolError  # noqa: E402
from lab.arm64_machine import UnavailableError  # noqa: E402


def main() -> int:
    """Does what the command line says; returns the exit code where the JVM does not start."""
    parser = argparse.ArgumentParser(
        prog="python scripts/android", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--abi", choices=list(APKS), default="x86_64", help="of the APK [x86_64]")
    parser.add_argument("--bytecode", choices=["apk", "class-files"], default="apk", help="what runs [apk]")
    parser.add_argument("--apk", type=Path, help="another than the one that was built last")
    parser.add_argument("--class-path", type=Path, action="append", default=[], help="looked in besides; repeatable")
    parser.add_argument("--print", action="store_true", help="print the command, and run nothing")
    parser.add_argument("main", metavar="CLASS", help="a class with a main method; what follows is its own")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    given = parser.parse_args()
    try:
        start = command(given.abi, given.bytecode == "apk", given.class_path, given.apk)
    except (ToolError, UnavailableError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    words = [*start, given.main, *given.arguments]
    if not given.print:
        os.execvp(words[0], words)
    print(json.dumps(words))
    return 0


if __name__ == "__main__":
    sys.exit(main())
