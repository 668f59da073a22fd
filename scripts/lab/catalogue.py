"""Which benches there are, what each measures and what must hold: read from their files without importing them.

Importing one takes seconds and the memory of torch, and neither may stand beside what is measured.
"""

from __future__ import annotations

import ast
import difflib
from dataclasses import dataclass
from pathlib import Path

from seedtune.runtime.errors import SeedTuneError


@dataclass(frozen=True)
class Bench:
    """One file of the folder of benches.

    Attributes:
        name: of the file, and on the command line.
        what: its ``WHAT``: what it measures.
        bars: its ``BAR``: figure -> what must hold; empty for none.
    """

    name: str
    what: str
    bars: dict[str, str]


def benches(folder: Path) -> list[Bench]:
    """Every bench in ``folder``, by name.

    Raises:
        SeedTuneError: a file does not say what it measures or what must hold.
    """
    return [read(file) for file in sorted(folder.glob("*.py")) if not file.name.startswith("_")]


def named(name: str, folder: Path) -> Bench:
    """The bench ``name`` of ``folder``.

    Raises:
        SeedTuneError: there is none, or see :func:`benches`.
    """
    known = benches(folder)
    for bench in known:
        if bench.name == name:
            return bench
    near = difflib.get_close_matches(name, [bench.name for bench in known], 1)
    raise SeedTuneError(
        "there is no such bench",
        value=name,
        rule=", ".join(bench.name for bench in known),
        remedy=f"did you mean {near[0]}?" if near else None,
    )


def read(file: Path) -> Bench:
    """The bench in ``file``.

    Raises:
        SeedTuneError: ``WHAT`` is no line of text, or ``BAR`` no dictionary from text to text, both as literals.
    """
    assigned = _assigned(ast.parse(file.read_text("utf-8")))
    declared = {name: _literal(file, value) for name, value in assigned if name in ("WHAT", "BAR")}
    what, bars = declared.get("WHAT"), declared.get("BAR")
    if not isinstance(what, str) or not what or "\n" in what:
        raise SeedTuneError("the bench does not say what it measures", file=file, value=what, rule='WHAT = "one line"')
    if not isinstance(bars, dict) or not all(isinstance(text, str) for pair in bars.items() for text in pair):
        raise SeedTuneError(
            "the bench does not say what must hold",
            file=file,
            value=bars,
            rule='BAR = {"figure": "<= 5 s"}, or {} for none',
        )
    return Bench(file.stem, what, bars)


def _assigned(tree: ast.Module) -> list[tuple[str, ast.expr]]:
    """(name, value) of every assignment of the module to one name, annotated or not."""
    found = []
    for node in tree.body:
        if isinstance(node, ast.Assign):
            found += [(target.id, node.value) for target in node.targets if isinstance(target, ast.Name)]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            found.append((node.target.id, node.value))
    return found


def _literal(file: Path, value: ast.expr) -> object:
    try:
        return ast.literal_eval(value)
    except ValueError as error:
        raise SeedTuneError(
            "the declaration is no literal, so it cannot be read without running the bench",
            file=f"{file}:{value.lineno}",
            remedy="write it out",
        ) from error
