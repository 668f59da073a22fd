"""Data files as people bring them, with the rows that the Python runtime reads, or that it refuses: row-files.json."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import msgspec

from seedtune.runtime.data.rows import read_rows
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.task.definition import Label, Task

TASK = Task("t", "classification", "{text}:", (Label("0", " bad", "negative"), Label("1", " good", "positive")))
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


def write_row_files(folder: Path) -> None:
    """row-files.json: the task, and of each file its content and rows: text, label and line, or null for a refusal."""
    files = []
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "x.jsonl"
        for content in CONTENTS:
            path.write_bytes(content.encode())
            try:
                rows = [[row.fields["text"], row.label, row.line] for row in read_rows(path, TASK)]
            except SeedTuneError:
                rows = None
            files.append({"content": content, "rows": rows})
    task = msgspec.to_builtins(TASK)
    # The engine knows no masked variant: a bundle holds its task already resolved.
    text = json.dumps({"task": {name: value for name, value in task.items() if value is not None}, "files": files})
    (folder / "row-files.json").write_text(text, encoding="utf-8")
