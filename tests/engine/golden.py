# ruff: noqa: RUF001 - texts in many scripts are the point
"""What the Kotlin engine must compute again: noise, numbers, tokens, rows and whole runs, written as files.

The tests of `android_app/engine` read them (`Golden.kt`). A change of a format here needs another VERSION in both.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import random
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec
import numpy as np
from tokenizers import Tokenizer

from seedtune.runtime.bundle.manifest import StateLayout, Target
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.journal.file import JournalWriter, read_journal
from seedtune.runtime.journal.format import Header, Record
from seedtune.runtime.model.splits import load_split
from seedtune.runtime.noise import derive_seed, noise_words, permutation, rademacher
from seedtune.runtime.run.settings import Settings
from seedtune.runtime.stages.memory_limit import Shape, choose
from seedtune.runtime.stages.streaming import StageFiles

ENGINE = Path(__file__).parents[2] / "android_app"
VERSION = 3
TEXTS = 2000
# Of the runs, by option.
SETTINGS = {"steps": 50, "batch-size": 8, "seed": 11, "rows-per-call": 200, "eval-every": 20}
SAMPLES = (
    "A film well worth seeing, and one I'd see again!",
    "don't  DON'T we'll they've it's I'm you'd",
    "Größe, naïve café — “quotes” … ½ ² Ⅻ ٣ ٤ 12345 6,789.01",
    "这部电影非常好看。我很喜欢！",
    "日本語のテキスト、カタカナとひらがな",
    "한국어 문장입니다",
    "هذا فيلم رائع جدا",
    "זה סרט נהדר",
    "Очень хороший фильм",
    "😀😃👩‍👩‍👧‍👦🏳️‍🌈👍🏽 emoji",
    "tab\tnew\nline\r\nend\x0b\x0c\x1c\x85\u2028\u2029",
    "nul-like \x01\x02\x1f controls \x7f\u200b\u200e\ufeff",
    "  leading and trailing   ",
    "e\u0301 combining A\u030a \u1112\u1161\u11ab ﬁ ſ İ ẞ",
    "<s></s><pad><mask><|endoftext|>[CLS][SEP][MASK]",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "https://example.org/path?query=1&other=%20#fragment user@example.org",
    "x=1;if(x<2){return x*3;}//comment",
    "\u00a0\u3000\u2003wide\u00a0spaces",
    "",
    " ",
    "\n\n\n",
)


def texts() -> list[str]:
    """TEXTS texts: the samples, pieces of them in other orders, and characters from all over Unicode."""
    generator = random.Random(20_240_229)
    made = list(SAMPLES)
    # Letters that the Unicode versions of two libraries disagree about would prove nothing about either.
    characters = map(chr, [*range(1, 0x3000), *range(0x4E00, 0x4F00)])
    assigned = [character for character in characters if _assigned_since_long(character)]
    while len(made) < TEXTS:
        if generator.random() < 0.6:
            words = [generator.choice(SAMPLES).split(" ") for _ in range(generator.randint(1, 4))]
            made.append(" ".join(generator.choice(word) for word in words for _ in range(generator.randint(1, 5))))
        else:
            made.append("".join(generator.choices(assigned, k=generator.randint(1, 30))))
    return made


def _assigned_since_long(character: str) -> bool:
    # Unicode 3.2, which Python keeps beside its own.
    return unicodedata.ucd_3_2_0.category(character) != "Cn"


def write_json(path: Path, value: object) -> None:
    """One JSON value."""
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


def write_lines(path: Path, records: Iterable[object]) -> None:
    """One JSON value a line."""
    with path.open("w", encoding="utf-8") as file:
        for record in records:
            # A line separator inside a string would be a line's end to a reader.
            file.write(json.dumps(record) + "\n")


def write_noise(folder: Path) -> None:
    """noise.json."""
    cases = []
    for seed in (0, 1, 7, 123456789, 2**31, 2**32 - 1):
        derived = [
            {"purpose": purpose, "counter": counter, "seed": derive_seed(seed, purpose, counter)}
            for purpose in ("probe", "sampler", "lora_a")
            for counter in (0, 1, 1000, 2**31)
        ]
        cases.append(
            {
                "seed": seed,
                "words": noise_words(seed, 100).tolist(),
                "signs": rademacher(seed, 100).astype(int).tolist(),
                "permutation": permutation(seed, 1000).tolist(),
                "derived": derived,
            }
        )
    write_json(folder / "noise.json", cases)


def write_numbers(folder: Path) -> None:
    """json.jsonl: what msgspec makes of numbers and strings, a value a line."""
    generator = np.random.default_rng(5)
    floats = [
        0.0,
        -0.0,
        1.0,
        0.1,
        0.03,
        1e-5,
        9.99e-6,
        1e15,
        1e16,
        123456789.125,
        5e-324,
        1.7976931348623157e308,
        300.0,
    ]
    floats += (generator.standard_normal(500) * 10.0 ** generator.integers(-12, 20, 500)).tolist()
    floats += [float(np.float32(value)) for value in generator.standard_normal(200)]
    values: list[object] = [
        *floats,
        0,
        -5,
        2**53,
        "plain",
        'quote " and \\',
        "\x00\x08\t\n\x0b\x0c\r\x1f\x7f",
        "é😀",
        True,
        None,
    ]
    values += [{"a": 1, "b": [1.5, {"c": "d"}]}, [], {}]
    (folder / "json.jsonl").write_bytes(b"\n".join(msgspec.json.encode(value) for value in values) + b"\n")


def write_tokenizers(folder: Path, tokenizers: Mapping[str, Tokenizer]) -> None:
    """tokenizers/NAME: tokenizer.json, and texts with their tokens, special tokens in texts read as plain text."""
    write_json(folder / "tokenizers.json", list(tokenizers))
    for name, tokenizer in tokenizers.items():
        place = folder / "tokenizers" / name
        place.mkdir(parents=True)
        (place / "tokenizer.json").write_text(tokenizer.to_str(), encoding="utf-8")
        whole = _reading(tokenizer.to_str())
        # Post-processors trim spaces at the edges of tokens from offsets, which truncation does itself.
        bare = _reading(json.dumps(json.loads(tokenizer.to_str()) | {"post_processor": None}))
        records = []
        for text in texts():
            ends: list[int] | None = [end for _, end in bare.encode(text, add_special_tokens=False).offsets]
            # Which character a composed or reordered mark belongs to is told differently by every library.
            if name == "pattern" and unicodedata.normalize("NFC", text) != text:
                ends = None
            records.append({"text": text, "ids": whole.encode(text).ids, "ends": ends})
        write_lines(place / "texts.jsonl", records)


def _reading(content: str) -> Tokenizer:
    tokenizer = Tokenizer.from_str(content)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    return tokenizer


def write_rows(path: Path, bundle: Bundle, data: Path) -> None:
    """The rows of ``data`` as the bundle's task encodes them."""
    task = bundle.compiled_task()
    records = []
    for row in load_split(data, task).rows:
        encoded = task.encode(row.fields)
        records.append(
            {
                "ids": encoded.ids.tolist(),
                "position": int(encoded.position),
                "truncated_tokens": encoded.truncated_tokens,
                "suffix": None if encoded.suffix is None else encoded.suffix.tolist(),
                "targets": None if encoded.targets is None else encoded.targets.tolist(),
            }
        )
    write_lines(path, records)


def write_grouped(folder: Path) -> None:
    """grouped/: a journal of four steps (two probes, a state a row), its update graph, and the states it leads to."""
    import onnx_ir as ir

    from seedtune.exporter.graphs.update import build_update
    from seedtune.exporter.passes.finish import finish

    folder.mkdir()
    layout = StateLayout(96, 4, 0, (Target("layer", "layer.lora_A.weight", 0, 24, 8, 4),))
    model = build_update(layout, groups=True)
    finish(model)
    ir.save(model, folder / "update.onnx")
    header = Header(77, layout.parameters, 3, 2, "ab" * 32, Settings(steps=4).as_dict())
    generator = np.random.default_rng(9)
    with JournalWriter.create(folder / "journal.bin", header) as writer:
        for _step in range(4):
            writer.append([Record(*generator.standard_normal((3, 3)).astype(np.float32)) for _probe in range(2)])
    journal = read_journal(folder / "journal.bin")
    states = np.zeros((3, layout.parameters), np.float32)
    for seed, record in zip(journal.seeds().tolist(), journal.records, strict=True):
        states = states + record["coefficient"][:, None] * rademacher(seed, layout.parameters)
    sha256 = hashlib.sha256(states.astype("<f4").tobytes()).hexdigest()
    write_json(folder / "info.json", {"parameters": layout.parameters, "groups": 3, "state_sha256": sha256})


def write_memory(path: Path, bundles: Iterable[Path]) -> None:
    """What memory limits lead to, for shapes with and without prefixes, from the least that works to plenty."""
    cases = []
    for folder in bundles:
        files = StageFiles.of(Bundle.open(folder))
        for shape in (
            Shape(40, 0, 0, 32 * 40, 100_000),
            Shape(4, 60, 60, 32 * 4, 4096, 60 * 1536),
            Shape(5, 300, 305, 3 * 5, 32, 300 * 196_608, computed_prefixes=True),
        ):
            for limit in (*range(60_000_000, 400_000_000, 7_919_000), 10**9, 10**10):
                for tokens in (None, 100):
                    try:
                        choice = msgspec.to_builtins(
                            choose(limit, files.plan, files.tensors, shape, 50_000_000, tokens)
                        )
                    except SeedTuneError:
                        choice = None
                    cases.append(
                        {
                            "bundle": str(folder),
                            "shape": list(dataclasses.astuple(shape)),
                            "limit": limit,
                            "tokens": tokens,
                            "choice": choice,
                        }
                    )
    write_json(path, cases)
