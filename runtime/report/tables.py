"""A table for a person, a spreadsheet or a paper: the same cells as CSV, markdown and LaTeX."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass

# LaTeX 2e, the characters that mean something to it (Lamport 1994, section 2.1).
_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\N{DEGREE SIGN}": r"$^\circ$",
    "\N{EN DASH}": "--",
}
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True)
class Cell:
    """A text, and the place that it is read from, as ``file:line``; empty where it is reckoned from several."""

    text: str
    place: str = ""


@dataclass(frozen=True)
class Table:
    """Headings, and rows as long as they; the first column names the row."""

    headings: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def csv(self) -> str:
        """RFC 4180, with a column for the place of each value."""
        text = io.StringIO()
        writer = csv.writer(text)
        first, *others = self.headings
        writer.writerow([first, *(part for heading in others for part in (heading, f"{heading}: read from"))])
        for name, *cells in self.rows:
            # A spreadsheet takes what begins like a formula for one.
            values = [part for cell in cells for part in (cell.text, cell.place)]
            writer.writerow([_harmless(_plain(value)) for value in (name.text, *values)])
        return text.getvalue()

    def markdown(self) -> str:
        """GitHub's tables."""
        lines = [self.headings, tuple("---" for _ in self.headings)]
        lines += [tuple(cell.text for cell in row) for row in self.rows]
        return "".join("| " + " | ".join(_plain(word).replace("|", r"\|") for word in line) + " |\n" for line in lines)

    def latex(self) -> str:
        """A tabular with the rules of booktabs."""
        columns = "l" + "r" * (len(self.headings) - 1)
        body = [" & ".join(_latex(cell.text) for cell in row) + r" \\" for row in self.rows]
        head = " & ".join(_latex(heading) for heading in self.headings) + r" \\"
        lines = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head, r"\midrule", *body, r"\bottomrule"]
        return "\n".join([*lines, r"\end{tabular}", ""])


def _plain(text: str) -> str:
    return _CONTROL.sub(" ", text)


def _latex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in _plain(text))


def _harmless(text: str) -> str:
    return f"'{text}" if text[:1] in ("=", "+", "@") or (text[:1] == "-" and not text[1:2].isdigit()) else text
