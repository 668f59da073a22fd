"""Values that readers stumble over, and trees of JSON and TOML that may hold them: written as text of any kind."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

NUMBERS: tuple[Any, ...] = (
    0,
    -1,
    1,
    2,
    31,
    32,
    33,
    2**15,
    2**16,
    2**31 - 1,
    2**31,
    -(2**31),
    2**32 - 1,
    2**32,
    2**53 + 1,
    2**63 - 1,
    2**63,
    -(2**63),
    -(2**63) - 1,
    2**64 - 1,
    2**64,
    10**30,
    0.0,
    -0.0,
    0.5,
    -1.5,
    1e-320,
    1e308,
)
TEXTS = (
    "",
    " ",
    "\0",
    "a\nb",
    "é",
    "e\u0301",
    "😀",
    "\u202e",
    "\ufeff",
    "\uffff",
    "\U000f5eed",
    "../x",
    "/etc/passwd",
    "C:\\x",
    ".",
    "%s%n",
    "{text}",
    "{mask}",
    "{",
    "{}",
    "{text!r:>{x}}",
    "NaN",
    "1",
    "true",
    "x" * 70_000,
    "(" * 300,
)


class Text(str):
    """Stands for itself, as it is, in whatever is written."""


class Pairs(list[tuple[str, Any]]):
    """An object as its pairs in order, which may repeat a name."""


# As they stand in JSON. Python's json takes NaN and Infinity; nothing else does.
RAW_JSON = (
    Text("NaN"),
    Text("-Infinity"),
    Text("1e400"),
    Text("-1e400"),
    Text("1" + "0" * 400),
    Text("1" + "0" * 5000),
    Text('"\\ud800"'),
    Text('"\\udfff\\ud800"'),
    Text('"\\u0000"'),
    Text('"\udcff"'),
    Text("01"),
    Text("1.0"),
    Text("1e0"),
    Text("-0"),
    Text("'a'"),
    Text(""),
    Text("[1,]"),
    Text('"\t"'),
    Text("[" * 200 + "]" * 200),
    Text("[" * 100_000 + "]" * 100_000),
    Text("[" * 5_000),
    Text('{"a":' * 500 + "1" + "}" * 500),
    Text('{"a":' * 50_000 + "1" + "}" * 50_000),
)
RAW_TOML = (
    Text("nan"),
    Text("-inf"),
    Text("1e400"),
    Text("1" + "0" * 400),
    Text("1" + "0" * 5000),
    Text("0x" + "f" * 5000),
    Text("1979-05-27T07:32:00Z"),
    Text("1979-05-27"),
    Text("07:32:00"),
    Text("0xff"),
    Text("1_000"),
    Text('"""a\nb"""'),
    Text("'''\\ud800'''"),
    Text('"\\ud800"'),
    Text('"\\U00110000"'),
    Text('"\udcff"'),
    Text("+1"),
    Text(""),
    Text("[" * 200 + "]" * 200),
    Text("[" * 20_000 + "]" * 20_000),
    Text("{a=" * 300 + "1" + "}" * 300),
    Text("{a=" * 20_000 + "1" + "}" * 20_000),
    Text("{" + ".".join("a" * 3_000) + "=1}"),
)


def pairs_of(value: Any) -> Any:
    """``value`` with every dict as its pairs."""
    if isinstance(value, Pairs):
        return value
    if isinstance(value, dict):
        return Pairs((name, pairs_of(item)) for name, item in value.items())
    if isinstance(value, list | tuple):
        return [pairs_of(item) for item in value]
    return value


def encoded(text: str) -> bytes:
    """UTF-8, in which a lone surrogate is three bytes that no reader may take, and U+DCFF the byte 0xFF."""
    return text.encode("utf-8", "surrogatepass").replace("\udcff".encode("utf-8", "surrogatepass"), b"\xff")


def to_json(value: Any) -> str:
    """``value`` as JSON, with everything that stands for itself as it is."""
    if isinstance(value, Text):
        return str(value)
    if isinstance(value, Pairs):
        return "{" + ",".join(f"{json.dumps(name)}:{to_json(item)}" for name, item in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(to_json, value)) + "]"
    return json.dumps(value)


def to_toml(value: Pairs) -> str:
    """``value`` as TOML: plain values first, then tables, then lists of tables."""
    simple, tables = [], []
    for name, item in value:
        if isinstance(item, Pairs):
            tables.append(f"[{_key(name)}]\n" + _lines(item))
        elif isinstance(item, list) and item and all(isinstance(each, Pairs) for each in item):
            tables += [f"[[{_key(name)}]]\n" + _lines(each) for each in item]
        else:
            simple.append((name, item))
    return _lines(simple) + "\n" + "\n".join(tables)


def _lines(pairs: Sequence[tuple[str, Any]]) -> str:
    return "".join(f"{_key(name)} = {_inline(item)}\n" for name, item in pairs)


def _key(name: str) -> str:
    return name if name and all(c.isascii() and (c.isalnum() or c in "_-") for c in name) else _inline(name)


def _inline(value: Any) -> str:
    if isinstance(value, Text):
        return str(value)
    if isinstance(value, Pairs):
        return "{" + ", ".join(f"{_key(name)} = {_inline(item)}" for name, item in value) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    if isinstance(value, str):
        # JSON's escapes are TOML's, apart from pairs of surrogates and DEL.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return "false" if value is None else json.dumps(value)
