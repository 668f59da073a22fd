"""The bytecode of an APK, turned back into class files that a JVM runs.

enjarify translates Dalvik's instructions one by one, so what runs is what the dexer made of the source, with its
mistakes. Three things are put right. It reads the instruction `const-wide/32` without its sign (Android's "Dalvik
bytecode format": the literal is sign-extended to 64 bits). It writes class files of version 49, in which an interface
may have no static methods; 52 is Java 8's. And the JVM must not verify them, because 52 asks for tables of stack maps
that enjarify does not write.
"""

from __future__ import annotations

from pathlib import Path

from lab.android.tools import ToolError, run_python

# Of the JVM, for what `translate` makes.
FLAGS = ("-XX:+UnlockDiagnosticVMOptions", "-XX:-BytecodeVerificationRemote")
TRANSLATE = """
import sys, zipfile
from enjarify import dalvikformats
from enjarify.jvm.optimization.options import PRETTY
from enjarify.main import translate

CONST_WIDE_32, JAVA_8 = 0x17, 52
as_it_is = dalvikformats.decode

def decode(shorts, position, opcode):
    after, operands = as_it_is(shorts, position, opcode)
    if opcode == CONST_WIDE_32:
        operands[-1] = dalvikformats.sign(operands[-1], 32)
    return after, operands

dalvikformats.decode = decode
apk, out = sys.argv[1:]
classes, errors = {}, {}
with zipfile.ZipFile(apk) as opened:
    for name in sorted(opened.namelist()):
        if name.endswith(".dex"):
            translate(opened.read(name), PRETTY, classes, errors)
for name, error in errors.items():
    sys.exit(f"{name}: {error}")
with zipfile.ZipFile(out, "w") as jar:
    for name, content in sorted(classes.items()):
        jar.writestr(name, content[:6] + JAVA_8.to_bytes(2, "big") + content[8:])
print(len(classes))
"""


def translate(apk: Path, jar: Path, tools: Path) -> int:
    """Writes the classes of ``apk`` into ``jar``.

    Args:
        apk: an APK with one or more dex files.
        jar: where to; written anew.
        tools: folder of `tools.install`.

    Returns:
        How many classes there are.

    Raises:
        ToolError: a class cannot be translated; the message names it.
    """
    count = int(run_python(tools, "-c", TRANSLATE, apk, jar))
    if not count:
        raise ToolError(f"{apk} has no bytecode")
    return count
