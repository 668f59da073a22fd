"""One look at a run on the phone: a single short shell call, and what came back.

Every file is asked for from a block before what is known of it, so that each look also proves that what lies here is
still what lies there. Nothing between two marks can imitate a mark: they hold a word made up for this call.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from seedtune.runtime.device.adb.text import quoted
from seedtune.runtime.device.app.access import Access
from seedtune.runtime.device.app.names import LOG_TAG, PACKAGE
from seedtune.runtime.telemetry.phone.proc import uptime_nanos
from seedtune.runtime.telemetry.phone.records import SEGMENT

BLOCK_BYTES = 4096
# Of one file in one look: a faster one is read over several.
MOST_BLOCKS = 256
MOST_SAMPLE_BLOCKS = 16
LIMIT_BYTES = 4 << 20
BOOT_ID = re.compile(r"[0-9a-f-]{36}")

# What is asked of the phone besides files; PID stands for the app's process.
SOURCES = {
    "meminfo": f"dumpsys meminfo {PACKAGE}",
    "status": "cat /proc/PID/status",
    "battery": "dumpsys battery",
    "thermal": "dumpsys thermalservice",
    "memory": "cat /proc/meminfo",
    "swaps": "cat /proc/swaps",
    "zram": "cat /sys/block/zram0/mm_stat",
    "exits": f"dumpsys activity exit-info {PACKAGE}",
    "log": f"logcat -d -v time -t 20 -s {LOG_TAG}:E",
}


class GarbledError(Exception):
    """The phone's answer is none to this question."""


@dataclass(frozen=True)
class Chunk:
    """A piece of a file: its whole size on the phone, where the piece begins, and its bytes."""

    size_bytes: int
    start: int
    data: bytes


@dataclass
class Look:
    """What a look found.

    Attributes:
        present: whether the run's folder is there.
        boot: which start of the phone this is.
        elapsed_realtime_nanos: the phone's clock.
        pid: the app's process, None if there is none.
        chunks: name -> piece, of files that are there.
        segments: the telemetry files that are there.
        samples: source -> (nanoseconds of the phone's clock, text).
    """

    present: bool = True
    boot: str = ""
    elapsed_realtime_nanos: int = 0
    pid: int | None = None
    chunks: dict[str, Chunk] = field(default_factory=dict)
    segments: list[str] = field(default_factory=list)
    samples: dict[str, tuple[int, str]] = field(default_factory=dict)


def look(
    access: Access,
    folder: str,
    known: Mapping[str, int],
    sources: Iterable[str] = (),
    done: Mapping[str, str] | None = None,
) -> Look:
    """Looks once.

    Args:
        access: the app's folder.
        folder: the run's, in the app's own.
        known: file -> how many of its bytes are here.
        sources: keys of SOURCES to ask too.
        done: telemetry file -> SHA-256, of files that are here and may go there.

    Raises:
        GarbledError: what came back makes no sense.
        DisconnectedError, SeedTuneError: see :meth:`seedtune.runtime.device.adb.phone.Phone.shell`.
    """
    word = secrets.token_hex(8)
    inside = _file_script(access, folder, word, known, done or {})
    # What ends the first part, such as a folder that is not there, must not end the second.
    first = access.script(inside) if access.as_app else f"( {inside}\n)"
    script = f"{first}; {_state_script(word, sources)}"
    answer = access.phone.shell(script, limit_bytes=LIMIT_BYTES)
    return _parsed(answer.out, word, known)


def _file_script(access: Access, folder: str, word: str, known: Mapping[str, int], done: Mapping[str, str]) -> str:
    parts = [f"cd {access.path(folder)} 2>/dev/null || {{ echo @{word} absent; exit 0; }}"]
    for name, sha256 in done.items():
        parts.append(f"case $(sha256sum < {quoted(name)}) in {sha256}*) rm {quoted(name)};; esac")
    # Sizes are compared as words: the arithmetic of the phone's shell has 32 bits.
    parts.append(
        'f() { s=$(stat -c %s "$1" 2>/dev/null) || return 0; echo; echo "@' + word + ' file $1 $2 $s"; '
        f'[ "$s" = "$3" ] || dd if="$1" bs={BLOCK_BYTES} skip=$2 count={MOST_BLOCKS} 2>/dev/null; '
        "echo; echo @" + word + " end; }"
    )
    # From the block of the last byte that is here: what overlaps is compared.
    parts += [f"f {quoted(name)} {max(0, size - 1) // BLOCK_BYTES} {size}" for name, size in known.items()]
    parts.append(f"echo; echo @{word} segments telemetry-*.jsonl")
    return "\n".join(parts)


def _state_script(word: str, sources: Iterable[str]) -> str:
    parts = [
        f"p=$(pidof {PACKAGE})",
        f"echo; echo @{word} state $(cat /proc/sys/kernel/random/boot_id) $(cat /proc/uptime) pid $p",
    ]
    for source in sources:
        command = SOURCES[source].replace("PID", "${p%% *}")
        parts.append(f"echo @{word} sample {source} $(cat /proc/uptime)")
        parts.append(
            f"{command} 2>&1 | dd bs={BLOCK_BYTES} count={MOST_SAMPLE_BLOCKS} 2>/dev/null; echo; echo @{word} end"
        )
    return "\n".join(parts)


def _parsed(out: bytes, word: str, known: Mapping[str, int]) -> Look:
    found = Look()
    mark = re.compile(rb"(?:^|\n)@%b ([^\n]*)\n" % word.encode())
    place, seen_state = 0, False
    while match := mark.search(out, place):
        words = match[1].decode("utf-8", "replace").split()
        place = match.end() - 1
        if words[:1] == ["absent"]:
            found.present = False
        elif words[:1] in (["file"], ["sample"]):
            end = mark.search(out, place)
            if end is None or end[1] != b"end":
                raise GarbledError("a file without an end")
            body = out[match.end() : end.start()] if end.start() >= match.end() else b""
            place = end.end() - 1
            _take(found, words, body, known)
        elif words[:1] == ["segments"]:
            found.segments = sorted(name for name in words[1:] if SEGMENT.fullmatch(name))
        elif words[:1] == ["state"]:
            seen_state = _take_state(found, words)
    if not seen_state:
        raise GarbledError("the phone's state is missing")
    return found


def _take(found: Look, words: list[str], body: bytes, known: Mapping[str, int]) -> None:
    if words[0] == "sample":
        nanos = uptime_nanos(words[2]) if len(words) > 2 else None
        if len(words) < 3 or words[1] not in SOURCES or nanos is None:
            raise GarbledError("a sample without a time")
        found.samples[words[1]] = (nanos, body.decode("utf-8", "replace"))
        return
    if len(words) != 4 or words[1] not in known or not (words[2].isdigit() and words[3].isdigit()):
        raise GarbledError("a file that was not asked for")
    start = int(words[2]) * BLOCK_BYTES
    found.chunks[words[1]] = Chunk(int(words[3]), start, body)


def _take_state(found: Look, words: list[str]) -> bool:
    nanos = uptime_nanos(words[2]) if len(words) > 2 else None
    if nanos is None or not BOOT_ID.fullmatch(words[1]):
        raise GarbledError("the phone's state makes no sense")
    found.boot, found.elapsed_realtime_nanos = words[1], nanos
    pids = words[words.index("pid") + 1 :] if "pid" in words else []
    found.pid = int(pids[0]) if pids and pids[0].isdigit() else None
    return True
