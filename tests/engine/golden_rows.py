"""Data files as people bring them, with the rows that the Python runtime reads, or that it refuses, by task."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from seedtune.runtime.data.rows import read_rows
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.task.definition import Label, Task

TASK = Task("t", "classification", "{text}:", (Label("0", " bad", "negative"), Label("1", " good", "positive")))
CHAT = Task("c", "completion", "User: {message}\nAnswer:", response=" {answer}")
ROW = '{"text": "a", "label": 0}\n'
CONTENTS = [
    ROW,
    "\ufeff" + ROW,
    ROW + "\n  \n\r\n" + ROW,
    ROW + "\u0085\n",
    ROW.strip(),
    '{"text": "a\\u2028b\u2028c\u0085", "label": "1"}\r\n',
    '{"text": "\\ud83d\\ude00", "label": "positive"}\n',
    '{"text": "\\ud83d", "label": 0}\n',
    '{"text": "a\\u0000", "label": 0}\n',
    '{"text": "a", "note": "\0", "label": 0}\n',
    '{"text": "a", "label": true}\n{"text": "a", "label": false}\n',
    '{"text": "a", "label": -0}\n',
    *(
        f'{{"text": "a", "label": {label}}}\n'
        for label in ("01", "+1", "1.0", "0x1", "\u0661", "NaN", "yes", "[1]", "null")
    ),
    *(f'{{"text": "a", "label": "{label}"}}\n' for label in (" 1 ", "good", "Good", "", "01", "\u0661")),
    '{"text": "a", "label": 0, "label": 1}\n',
    '{"text": "a", "text": "b", "label": 0}\n',
    '{"text": a, "label": 0}\n',
    '{"text": 5, "label": 0}\n',
    '{"text": "\u0085", "label": 0}\n',
    '{"text": "\u00a0", "label": 0}\n',
    '{"text": "\u200b", "label": 0}\n',
    '{"text": "a", "label": 0},\n',
    '{"text": "a", "label": 0}{"text": "b", "label": 1}\n',
    '[{"text": "a", "label": 0}]\n',
    "{'text': 'a', 'label': 0}\n",
    json.dumps({"text": "a", "label": 0}, indent=2),
    '{"text": "a", "label": 0, "x": ' + "[" * 100_000 + "]" * 100_000 + "}\n",
    "text,label\na,0\n",
    "",
]


USER, ANSWER = {"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}
RECORDS: tuple[dict[str, Any], ...] = (
    {"messages": [USER, ANSWER]},
    {"messages": [USER, ANSWER], "answer": "of its own"},
    {"messages": [USER, ANSWER], "message": "of its own", "answer": "too"},
    {"messages": [USER, ANSWER], "message": "of its own"},
    {"message": "plain", "answer": "too"},
    {"messages": [USER]},
    {"messages": [ANSWER, USER]},
    {"messages": [{"role": "system", "content": "Be brief."}, USER, ANSWER]},
    {"messages": [USER, ANSWER, USER, ANSWER]},
    {"messages": [USER, {"role": "assistant", "content": None}]},
    {"messages": [USER, {"role": "assistant", "content": ""}]},
    {"messages": [USER, {"role": "assistant", "content": 5}]},
    {"messages": [{"role": 1, "content": "Why?"}, ANSWER]},
    {"messages": [USER, "So."]},
    {"messages": []},
    {"messages": "Why?"},
    {"messages": None},
    {"messages": {"role": "user"}},
)
CONVERSATIONS = [json.dumps(record) + "\n" for record in RECORDS]


def write_row_files(folder: Path) -> None:
    """row-files.json and conversation-files.json: a task, and files with their rows (fields, label, line), or null."""
    for name, task, contents in (("row", TASK, CONTENTS), ("conversation", CHAT, CONVERSATIONS)):
        files = [{"content": content, "rows": _rows_of(content, task)} for content in contents]
        # The engine knows no masked variant: a bundle holds its task already resolved.
        given = {key: value for key, value in msgspec.to_builtins(task).items() if value is not None}
        text = json.dumps({"task": given, "files": files})
        (folder / f"{name}-files.json").write_text(text, encoding="utf-8")


def _rows_of(content: str, task: Task) -> list[list[object]] | None:
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "x.jsonl"
        path.write_bytes(content.encode())
        try:
            return [[dict(row.fields), row.label, row.line] for row in read_rows(path, task)]
        except SeedTuneError:
            return None
