"""python3 java_api.py: what the app and its libraries call of java.*, against what Android 8 (API 26) has.

Run in the folder of the app after a build. Animal Sniffer reads every class that goes into the APK, and a table of
Android's classes; a call of what an old phone lacks ends this with an error.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from layout import MIN_SDK, TARGET, TOOLS, java_home

SIGNATURES = TOOLS / f"gummy-bears-api-{MIN_SDK}.signature"


def main() -> None:
    """Ends with an error if a class of Java is used that is not there."""
    jars = sorted((TARGET / "dex-input").glob("*.jar"))
    path = os.pathsep.join(str(TOOLS / f"{name}.jar") for name in ("animal-sniffer", "asm"))
    command = [java_home() / "bin" / "java", "-cp", path, Path(__file__).with_name("Sniff.java")]
    words = [*map(str, command), str(SIGNATURES), *map(str, jars)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr[-4000:])


if __name__ == "__main__":
    main()
