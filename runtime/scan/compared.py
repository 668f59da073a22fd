"""What stands beside the result of a scan: what is got without it, and what other classifiers say to what was found."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seedtune.runtime.batches.types import Integers
from seedtune.runtime.files import sha256_of
from seedtune.runtime.graphs.session import open_session
from seedtune.runtime.graphs.state import State
from seedtune.runtime.scan import records as scan
from seedtune.runtime.scan.answers import Answers
from seedtune.runtime.scan.applied import Applied, Losses
from seedtune.runtime.scan.asked import Asked, Writers, opened
from seedtune.runtime.scan.controls import guessed, inverted
from seedtune.runtime.scan.feeder import ImageFeeder
from seedtune.runtime.scan.graph import ScanGraph
from seedtune.runtime.scan.images import Images
from seedtune.runtime.scan.search import Search


def compared(
    asked: Asked,
    folder: Path,
    feeder: ImageFeeder,
    applied: Applied,
    answers: Answers,
    probabilities: bool,
    found: Images,
    pictures: npt.NDArray[np.uint8],
    write: Writers,
) -> Generator[scan.ScanEvent, None, tuple[dict[str, float], tuple[scan.TransferRecord, ...], list[Integers]]]:
    """Controls, and what other classifiers say to what was found: in sum, and to each picture."""
    settings, graphs = asked.settings, folder / scan.GRAPHS_FOLDER
    yield scan.ScanComparing(what="random search with as many queries")
    losses = Losses(graphs, asked.threads)
    controls = {"random": guessed(applied, losses, feeder, 2 * settings.steps, settings.seed)}
    yield scan.ScanComparing(what="plain inversion")
    controls["inversion"] = inverted(applied, feeder)
    yield scan.ScanComparing(what="pixel by pixel")
    controls["pixels"] = _pixel_by_pixel(asked, graphs / "pixels", feeder, answers, probabilities, write)
    transfer, said = [], []
    for number, other in enumerate(asked.others, 1):
        yield scan.ScanComparing(what=f"what was found, shown to {other.path.name}")
        shown, _ = opened(other, graphs / f"other-{number}", asked, write)
        right = shown.untouched(found.values).argmax(1) == found.labels
        said.append(shown.untouched(pictures.astype(np.float32) / np.float32(255)).argmax(1))
        transfer.append(
            scan.TransferRecord(
                path=str(other.path),
                sha256=sha256_of(other.path),
                right=int(right.sum()),
                fooled=int((right & (said[-1] != found.labels)).sum()),
            )
        )
    return controls, tuple(transfer), said


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
