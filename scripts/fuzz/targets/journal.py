"""journal.bin: blindly, and record by record with checksums that fit again."""

from __future__ import annotations

import hashlib
import json
import random
import struct
import zlib
from typing import Any

import numpy as np

from fuzz import made_up
from fuzz.blind import LENGTHS, mutated_bytes
from fuzz.target import ODD, Files, Target, WrongError, plain_json, require_equal
from fuzz.trees import mutated_tree
from fuzz.values import RAW_JSON, encoded, to_json
from seedtune.runtime.journal.file import JournalWriter, read_journal
from seedtune.runtime.journal.records import Record

FILE = "journal.bin"
SETTINGS = {
    "steps": 5,
    "batch_size": 8,
    "seed": 7,
    "optimizer.kind": "normalised",
    "optimizer.learning_rate": 0.03,
    "note": None,
}
FLOATS = (0.0, -0.0, 1.0, float("nan"), float("inf"), -float("inf"), 1e-45, 3.4e38)


def header(groups: int = 2, records_per_step: int = 1) -> dict[str, Any]:
    """The header of a journal."""
    return {
        "run_seed": 7,
        "state_parameters": made_up.PARAMETERS,
        "groups": groups,
        "records_per_step": records_per_step,
        "bundle_sha256": "ab" * 32,
        "settings": SETTINGS,
    }


def sealed(head: bytes, payloads: list[bytes], version: int = 2) -> bytes:
    """A journal whose checksums fit whatever it says."""
    raw = b"SEEDTUNE" + struct.pack("<II", version, len(head)) + head
    checksum = zlib.crc32(raw)
    raw += struct.pack("<I", checksum)
    for payload in payloads:
        checksum = zlib.crc32(payload, checksum)
        raw += payload + struct.pack("<I", checksum)
    return raw


def read_plainly(raw: bytes) -> tuple[dict[str, Any], list[tuple[float, ...]], int]:
    """Header, numbers of each record of whole steps, and bytes up to their end, by the documented format alone."""
    assert raw[:8] == b"SEEDTUNE"
    version, length = struct.unpack_from("<II", raw, 8)
    assert version == 2
    at = 16 + length
    checksum = struct.unpack_from("<I", raw, at)[0]
    assert checksum == zlib.crc32(raw[:at])
    found = plain_json(raw[16:at])
    size = 12 * found["groups"] + 4
    at += 4
    steps = (len(raw) - at) // (size * found["records_per_step"])
    records = []
    for _ in range(steps * found["records_per_step"]):
        checksum = zlib.crc32(raw[at : at + size - 4], checksum)
        assert checksum == struct.unpack_from("<I", raw, at + size - 4)[0]
        records.append(struct.unpack_from(f"<{3 * found['groups']}f", raw, at))
        at += size
    return found, records, at


class JournalTarget(Target):
    """See the module docstring."""

    name = "journal"

    def make(self) -> dict[str, bytes]:
        """Five records of two groups."""
        self._payloads = [struct.pack("<6f", *(step / 4 + place for place in range(6))) for step in range(5)]
        raw = sealed(json.dumps(header()).encode(), self._payloads)
        start = raw.index(b"}}") + 2
        self._boundaries = [0, 8, 12, 16, start, start + 4, *(start + 4 + 28 * step for step in range(6))]
        return {FILE: raw}

    def mutated(self, generator: random.Random) -> Files:
        """See the module docstring."""
        kind = generator.random()
        if kind < 0.01:
            return {FILE: generator.choice(ODD)}
        if kind < 0.4:
            return {FILE: mutated_bytes(generator, self.whole[FILE], self._boundaries)}
        value, payloads, version = header(generator.choice((1, 2, 2, 6)), generator.choice((1, 1, 2, 5))), [], 2
        payloads = list(self._payloads)
        head = json.dumps(value).encode()
        if generator.random() < 0.6:
            head = encoded(to_json(mutated_tree(generator, value, RAW_JSON)))
        else:
            for _ in range(generator.choice((1, 2))):
                place = generator.randrange(len(payloads))
                numbers = [generator.choice(FLOATS) for _ in range(generator.choice((3, 6, 6, 6, 18)))]
                payloads[place] = struct.pack(f"<{len(numbers)}f", *numbers)
            if generator.random() < 0.2:
                generator.shuffle(payloads)
            if generator.random() < 0.1:
                version = generator.choice(LENGTHS)
        raw = sealed(head, payloads, version)
        return {FILE: mutated_bytes(generator, raw, self._boundaries) if generator.random() < 0.1 else raw}

    def read(self) -> None:
        """Reads it, compares it with a plain reading, and goes on with it as a resumed run does."""
        path = self.folder / FILE
        raw = path.read_bytes() if path.is_file() else b""
        journal = read_journal(path)
        try:
            expected, records, end = read_plainly(raw)
        except (AssertionError, ValueError, KeyError, TypeError, struct.error) as error:
            raise WrongError(f"accepted, but read plainly it is no journal: {error!r}") from error
        found = journal.header
        for name in ("run_seed", "state_parameters", "groups", "records_per_step", "bundle_sha256", "settings"):
            require_equal(getattr(found, name), expected[name], name)
        require_equal([journal.whole_bytes, journal.torn_bytes], [end, len(raw) - end], "length")
        numbers = [[*each["coefficient"], *each["loss_plus"], *each["loss_minus"]] for each in journal.records]
        require_equal(np.array(numbers, "<f4").tobytes(), np.array(records, "<f4").tobytes(), "records")
        require_equal(journal.steps * found.records_per_step, len(records), "steps")
        require_equal(len(journal.seeds()), len(records), "seeds")
        settings = {name: value for name, value in found.settings.items() if isinstance(value, str)}
        self.said = {
            "steps": journal.steps,
            "torn_bytes": journal.torn_bytes,
            "coefficients": hashlib.sha256(journal.records["coefficient"].tobytes()).hexdigest(),
            "seeds": journal.seeds()[:5].tolist(),
            "settings": settings,
        }
        self._append(journal.steps)

    def _append(self, steps: int) -> None:
        path = self.folder / FILE
        journal = read_journal(path)
        if journal.header.groups > 8 or journal.header.records_per_step > 8:
            return
        zero = np.zeros(journal.header.groups, np.float32)
        with JournalWriter.resume(path, journal) as writer:
            writer.append([Record(zero, zero, zero)] * journal.header.records_per_step)
        require_equal(read_journal(path).steps, steps + 1, "steps after one more")
