"""What stands beside the result of a scan: what is got without it, with the same pictures and as many queries."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

from seedtune.runtime.graphs.session import open_session
from seedtune.runtime.graphs.state import State
from seedtune.runtime.scan import records as scan
from seedtune.runtime.scan.answers import Answers
from seedtune.runtime.scan.applied import Applied, Losses
from seedtune.runtime.scan.asked import Asked, Writers
from seedtune.runtime.scan.controls import guessed, inverted
from seedtune.runtime.scan.feeder import ImageFeeder
from seedtune.runtime.scan.graph import ScanGraph
from seedtune.runtime.scan.search import Search


def compared(
    asked: Asked,
    folder: Path,
    feeder: ImageFeeder,
    applied: Applied,
    answers: Answers,
    probabilities: bool,
    write: Writers,
) -> Generator[scan.ScanEvent, None, dict[str, float]]:
    """The share of the same pictures that each control finds, by its name."""
    settings, graphs = asked.settings, folder / scan.GRAPHS_FOLDER
    yield scan.ScanComparing(what="random search with as many queries")
    losses = Losses(graphs, asked.threads)
    controls = {"random": guessed(applied, losses, feeder, 2 * settings.steps, settings.seed)}
    yield scan.ScanComparing(what="plain inversion")
    controls["inversion"] = inverted(applied, feeder)
    yield scan.ScanComparing(what="pixel by pixel")
    controls["pixels"] = _pixel_by_pixel(asked, graphs / "pixels", feeder, answers, probabilities, write)
    return controls


def _pixel_by_pixel(
    asked: Asked, graphs: Path, feeder: ImageFeeder, answers: Answers, probabilities: bool, write: Writers
) -> float:
    """The share that the same search finds with the same queries where each pixel goes its own way, within a bound."""
    graphs.mkdir()
    write.pixels(graphs, asked.classifier)
    write.loss(graphs, probabilities)
    update = open_session(graphs / "update.onnx", asked.threads)
    parameters = next(each for each in update.get_inputs() if each.name == "state").shape[1]
    search = Search(
        ScanGraph(graphs, answers, asked.threads),
        ImageFeeder(feeder.values, feeder.labels),
        State(update, parameters, len(feeder)),
        # Units of the state are the bound: the opening goes to it.
        settings=asked.settings.flat() | {"scan.reach": 1.0},
        seed=asked.settings.seed,
        images_per_call=asked.settings.images_per_call,
        record=lambda _records: None,
    )
    for _step in search.run():
        pass
    return float((~search.findings.open).mean())
