"""A `libc.so` for Android's libraries under glibc: what they ask for, by name and symbol version, handed on to glibc.

Android's libraries ask for `malloc` of version LIBC in a library named `libc.so`; glibc has `malloc` of other versions
in `libc.so.6`. So both can be in one process, and nothing of the libraries has to be changed: a `libc.so` with one jump
a function, and functions of its own where the two C libraries differ (`bionic.c`), is all they need. Its other names,
`libm.so` and so on, are links to it.

Numbers come out as glibc's libm rounds them; that is where this can differ from a phone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from lab.android.tools import run_python

VERSION = "LIBC"
NAMES = ("libm.so", "libdl.so", "liblog.so", "libandroid.so")
SOURCE = Path(__file__).with_name("bionic.c")
# Kind of processor -> compiler's name for it with the oldest glibc to run on, and a jump through the table of symbols.
TARGETS = {
    "x86_64": ("x86_64-linux-gnu.2.33", "jmp *{0}@GOTPCREL(%rip)"),
    "arm64-v8a": ("aarch64-linux-gnu.2.33", "adrp x16, :got:{0}\n ldr x16, [x16, :got_lo12:{0}]\n br x16"),
}
LIST_UNDEFINED = """
import sys
from elftools.elf.elffile import ELFFile
for path in sys.argv[1:]:
    with open(path, "rb") as file:
        elf = ELFFile(file)
        symbols, versions = elf.get_section_by_name(".dynsym"), elf.get_section_by_name(".gnu.version")
        needed = elf.get_section_by_name(".gnu.version_r")
        for index, symbol in enumerate(symbols.iter_symbols()):
            if symbol["st_shndx"] == "SHN_UNDEF" and symbol.name:
                number = versions.get_symbol(index)["ndx"]
                found = needed.get_version(number) if isinstance(number, int) else None
                print(symbol.name, found[1].name if found else "-", symbol["st_info"]["bind"])
"""


def build(abi: str, libraries: Iterable[Path], folder: Path, tools: Path) -> Path:
    """Writes `libc.so` for ``libraries`` into ``folder``, with its other names; gives its path.

    Args:
        abi: "x86_64" or "arm64-v8a".
        libraries: whose questions it must answer, all of that kind.
        folder: where they lie.
        tools: folder of `tools.install`.

    Raises:
        ToolError: the libraries ask for something that neither glibc nor `bionic.c` has; the message names it.
    """
    target, jump = TARGETS[abi]
    own = set(re.findall(r"^EXPORT\((\w+)\)", SOURCE.read_text(), re.MULTILINE))
    handed_on = sorted(set(_asked_for(libraries, tools)) - own)
    lines = [".text"]
    for name in handed_on:
        lines += [f".globl bionic_{name}", f".type bionic_{name}, %function", f"bionic_{name}:", jump.format(name)]
        lines += [f".symver bionic_{name}, {name}@{VERSION}"]
    assembly, script, out = folder / "handed_on.s", folder / "versions", folder / "libc.so"
    assembly.write_text("\n".join(lines).replace("; ", "\n") + "\n")
    script.write_text(f"{VERSION} {{ }};\n")
    run_python(
        tools,
        *("-m", "ziglang", "cc", "-target", target, "-shared", "-fPIC", "-O2", "-fvisibility=hidden"),
        *("-fno-sanitize=undefined", "-Wl,-soname,libc.so", f"-Wl,--version-script={script}"),
        *(SOURCE, assembly, "-o", out, "-lm", "-ldl", "-lpthread"),
    )
    for name in NAMES:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(out.name)
    return out


def _asked_for(libraries: Iterable[Path], tools: Path) -> list[str]:
    """Names of version LIBC that the libraries lack; of other versions they ask each other, of none the log."""
    listed = run_python(tools, "-c", LIST_UNDEFINED, *libraries).splitlines()
    found = [line.split() for line in listed]
    return [name for name, version, _binding in found if version == VERSION]
