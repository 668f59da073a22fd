"""Tables to be written and read back: rows that a task can use, with whatever stands in their texts."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from hypothesis import strategies as st

Table = list[dict[str, str]]
# What decides how a table is read stands here more often than in texts of people.
PIECES = [
    *"\",;|\t\n\r\\ '",
    *("\t0\n", ",1\n", '""', '"\n"', "\r\n", '\\"', "0", "1", "a", "é", "😀", "\u2028", "NaN", "#"),
]


def texts_of(pieces: list[str]) -> st.SearchStrategy[str]:
    """Texts of up to eight of ``pieces`` that are not blank."""
    return st.lists(st.sampled_from(pieces), min_size=1, max_size=8).map("".join).filter(str.strip)


TEXTS = texts_of(PIECES)
LINES = texts_of([piece for piece in PIECES if not set(piece) & set("\n\r")])
COLUMNS = st.permutations(["text", "label", "note"])


def tables(texts: st.SearchStrategy[str]) -> st.SearchStrategy[Table]:
    """One to five rows; ``note`` is a column that no task reads."""
    row = st.fixed_dictionaries({"text": texts, "label": st.sampled_from(["0", "1"]), "note": texts | st.just("")})
    return st.lists(row, min_size=1, max_size=5)


def written(table: Table, columns: Sequence[str], **dialect: object) -> str:
    """``table`` as the csv module writes it; labels are numbers to it."""
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, columns, **dialect)  # type: ignore[arg-type]
    writer.writeheader()
    writer.writerows(row | {"label": int(row["label"])} for row in table)
    return out.getvalue()


def unquoted(table: Table, columns: Sequence[str], delimiter: str) -> str:
    """``table`` with nothing quoted or escaped, as those of GLUE are."""
    lines = [list(columns), *([row[name] for name in columns] for row in table)]
    return "".join(delimiter.join(line) + "\n" for line in lines)
