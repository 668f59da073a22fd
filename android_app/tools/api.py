"""python3 api.py [--write]: the members of android.* that the app uses, against the list in `android-api.txt`.

Run in the folder of the app after a build. A member that is not in the list ends it with an error: somebody has to look
whether it is public, and since which version of Android. ``--write`` makes the list anew.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from layout import ANDROID_JAR, TARGET, TOOLS, java_home

LIST = Path("android-api.txt")
OWN = TARGET / "dex-input" / "own.jar"
CLASS = re.compile(r"-keep(?:classmembers)? (?:class|interface|enum|@interface) (\S+)")


def main() -> None:
    """Compares or writes."""
    found = used()
    if sys.argv[1:] == ["--write"]:
        LIST.write_text("\n".join(found) + "\n")
        return
    allowed = LIST.read_text().splitlines()
    strange, unused = sorted(set(found) - set(allowed)), sorted(set(allowed) - set(found))
    for member in strange:
        print(f"error: not in {LIST}: {member}", file=sys.stderr)
    for member in unused:
        print(f"error: in {LIST}, but not used: {member}", file=sys.stderr)
    if strange or unused:
        sys.exit("look whether they are public, then: python3 ../tools/api.py --write")


def used() -> list[str]:
    """Every member as "class member", sorted, by D8's tracer of references."""
    tracer = ["com.android.tools.r8.tracereferences.TraceReferences", "--keep-rules"]
    libraries = [java_home(), ANDROID_JAR, *(jar for jar in sorted(OWN.parent.glob("*.jar")) if jar != OWN)]
    jars = [part for library in libraries for part in ("--lib", str(library))]
    jars += ["--target", str(ANDROID_JAR), "--source", str(OWN)]
    command = [str(java_home() / "bin" / "java"), "-cp", str(TOOLS / "r8.jar"), *tracer, *jars]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr[:2000])
    members, name = [], ""
    for line in done.stdout.splitlines():
        opened = CLASS.match(line.strip())
        if opened:
            name = opened[1]
            members.append(name)
        elif line.startswith("  "):
            members.append(f"{name} {line.strip().rstrip(';')}")
    return sorted({member for member in members if member.startswith("android.")})


if __name__ == "__main__":
    main()
