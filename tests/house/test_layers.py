"""Which room may import which, and which libraries: arrows point one way, and nothing goes in circles."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Room -> the rooms it may import, besides the plain files of the runtime (errors, noise, files, ...). A room stands
# behind all that it may import, so a circle cannot be written down here.
RUNTIME: dict[str, set[str]] = {
    "task": set(),
    "telemetry": set(),
    "bundle": {"task"},
    "data": {"task"},
    "start": {"bundle"},
    "batches": {"task"},
    "journal": set(),
    "graphs": {"batches", "bundle"},
    "stages": {"batches", "bundle", "graphs"},
    "generation": {"bundle", "graphs", "task"},
    "adapters": {"bundle"},
    "context": {"batches", "bundle", "graphs", "task"},
    "estimators": {"batches", "bundle", "graphs", "start"},
    "optimizers": {"estimators", "graphs"},
    "loop": {"batches", "estimators", "graphs", "journal", "optimizers"},
    "heads": {"batches", "bundle", "start"},
    "model": {
        "batches", "bundle", "data", "estimators", "generation", "graphs", "heads", "journal", "optimizers", "context",
        "stages", "start", "task", "telemetry",
    },
    "run": {
        "batches", "bundle", "estimators", "graphs", "heads", "journal", "loop", "model", "optimizers", "start",
        "telemetry",
    },
    "scan": {"batches", "estimators", "graphs", "journal", "loop", "optimizers", "telemetry"},
    "recipes": set(),
    "server": {"generation", "model"},
    "report": {"scan", "telemetry"},
    "sharing": {"bundle", "telemetry"},
    "device": {"bundle", "telemetry"},
    "face": {"adapters", "bundle", "model", "recipes", "run", "scan", "telemetry"},
    "cli": {
        "bundle", "device", "face", "generation", "graphs", "journal", "model", "recipes", "report", "run", "scan",
        "server", "sharing", "task", "telemetry",
    },
}  # fmt: skip
EXPORTER: dict[str, set[str]] = {
    "checkpoint": set(),
    "storage": set(),
    "passes": {"storage"},
    "targets": {"passes"},
    "stages": {"passes", "targets"},
    "chat_task": {"checkpoint"},
    "trace": {"checkpoint", "passes", "targets"},
    "graphs": {"passes", "stages", "storage", "trace"},
    "onnx_source": {"graphs", "passes"},
    "white_box": {"onnx_source"},
    "heads": {"graphs", "passes", "storage"},
    "merging": {"checkpoint", "graphs", "passes", "storage", "trace"},
    "reference": {"checkpoint", "storage", "trace"},
    "torch_classifier": {"passes", "trace"},
    "recipes": {"passes", "torch_classifier", "white_box"},
    "pipeline": {"chat_task", "checkpoint", "graphs", "passes", "reference", "storage", "trace"},
}
# The rooms of the runtime that the exporter reaches.
FROM_EXPORTER = {"bundle", "generation", "model", "recipes", "scan", "task"}
# The rooms of the exporter that the face reaches.
FROM_FACE = {"heads", "merging", "onnx_source", "pipeline", "recipes", "reference", "torch_classifier", "white_box"}
HEAVY = {"torch", "onnx", "onnx_ir", "onnxscript", "transformers", "safetensors", "accelerate"}
# Files that are no room: small things that everybody may use.
PLAIN = {path.stem for path in (ROOT / "runtime").glob("*.py")}


def imports(path: Path) -> Iterator[str]:
    """The modules that ``path`` imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0 or path.parent.name == "face", f"{path}: a relative import"
            if node.level == 0:
                yield str(node.module)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def place_of(module: str) -> tuple[str, str] | None:
    """("runtime" or "exporter", room) of a module of ours; what is imported straight from seedtune is the face's."""
    parts = module.split(".")
    if parts[0] != "seedtune":
        return None
    if len(parts) < 3:
        return "runtime", "face"
    return parts[1], parts[2]


def arrows() -> dict[tuple[str, str], set[tuple[str, str]]]:
    """Room -> rooms that it imports."""
    found: dict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
    for top in ("runtime", "exporter"):
        for path in (ROOT / top).rglob("*.py"):
            place = top, path.relative_to(ROOT / top).with_suffix("").parts[0]
            for module in imports(path):
                other = place_of(module)
                if other and other != place:
                    found[place].add(other)
    return found


def test_a_room_imports_only_the_rooms_below_it() -> None:
    for table in (RUNTIME, EXPORTER):
        order = list(table)
        for room, below in table.items():
            assert all(order.index(other) < order.index(room) for other in below), f"{room} stands above what it uses"
    for (top, room), others in arrows().items():
        if room in PLAIN and top == "runtime":
            assert all(other in PLAIN for _, other in others), f"{room} is a plain file and imports {others}"
            continue
        allowed = RUNTIME[room] if top == "runtime" else EXPORTER.get(room, set())
        for other_top, other in others:
            if other_top == "runtime" and (other in PLAIN or top == "exporter"):
                assert other in PLAIN | FROM_EXPORTER, f"exporter/{room} imports runtime/{other}"
            elif (top, room, other_top) == ("runtime", "face", "exporter"):
                assert other in (
                    "heads",
                    "merging",
                    "onnx_source",
                    "pipeline",
                    "recipes",
                    "reference",
                    "torch_classifier",
                    "white_box",
                )
            else:
                assert other_top == top, f"{top}/{room} imports {other_top}/{other}"
                assert other in allowed, f"{top}/{room} imports {top}/{other}"


def test_what_is_allowed_is_used() -> None:
    found = arrows()
    for top, table in (("runtime", RUNTIME), ("exporter", EXPORTER)):
        for room, below in table.items():
            used = {other for other_top, other in found[top, room] if other_top == top}
            assert below <= used, f"{top}/{room} no longer imports {below - used}"
    reached = {
        other for (top, _), others in found.items() if top == "exporter" for t, other in others if t == "runtime"
    }
    assert reached - PLAIN == FROM_EXPORTER


@pytest.mark.parametrize("top", ["runtime", "exporter"])
def test_every_room_is_on_the_plan(top: str) -> None:
    rooms = {path.parent.name for path in (ROOT / top).glob("*/__init__.py")}
    assert rooms == {
        room
        for room in (RUNTIME if top == "runtime" else EXPORTER)
        if room not in ("chat_task", "pipeline", "targets", "torch_classifier")
    }


def test_the_runtime_needs_none_of_the_libraries_of_the_exporter() -> None:
    for path in (ROOT / "runtime").rglob("*.py"):
        assert not {module.split(".")[0] for module in imports(path)} & HEAVY, path


def test_no_file_has_more_than_250_lines_and_the_driver_at_most_140() -> None:
    for top in ("runtime", "exporter", "scripts", "tests"):
        for path in (ROOT / top).rglob("*.py"):
            assert len(path.read_text("utf-8").splitlines()) <= 250, path
    assert len((ROOT / "runtime" / "run" / "driver.py").read_text("utf-8").splitlines()) <= 140
