"""`seedtune.scan`: the graphs come from the exporter, and need onnx-ir, not torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.extras import needs_extra
from seedtune.runtime.scan.answers import Floats
from seedtune.runtime.scan.asked import Asked, Gradients, Writers
from seedtune.runtime.scan.images import read_images
from seedtune.runtime.scan.made import made
from seedtune.runtime.scan.records import ScanEvent
from seedtune.runtime.scan.settings import ScanSettings


def scan(
    classifier: str | Path,
    *,
    images: str | Path,
    out: str | Path,
    first: int | None = None,
    mean: Sequence[float] = (),
    deviation: Sequence[float] = (),
    transfer: Sequence[str | Path] = (),
    threads: int | None = None,
    scores: str | None = None,
    **settings: Any,
) -> Iterator[ScanEvent]:
    """Looks for pictures that people read the same and ``classifier`` does not; yields events, the last has the result.

    Args:
        classifier: an ONNX file with one image input and a row of scores.
        images: an .npz with ``images`` and ``labels``, or a folder of image files.
        out: the new SCAN folder.
        first: at most so many pictures.
        mean: of each channel, taken from the values first (0..1, or 0..255 where the input is in bytes).
        deviation: of each channel, by which they are divided then.
        transfer: other classifiers that are shown what was found.
        threads: of ONNX Runtime; None for all processors.
        scores: of a classifier with several outputs: the one with its scores; None for ``logits``.
        settings: as on the command line: attack, queries, correlation, contrast, margin, knots, patterns, seed,
            opening, reach, epsilon, learning_rate, momentum, norm_bound, also, also_steps, images_per_call.

    Raises:
        SeedTuneError: anything that the user can put right; ``out`` is then not there.
    """
    with needs_extra("scan", "a scan needs"):
        from seedtune.exporter.onnx_source.classifier import Classifier, read_classifier
        from seedtune.exporter.onnx_source.pixel_map import PixelMap
        from seedtune.exporter.onnx_source.scan_graphs import Goal, Normalisation, write_loss_graph, write_map_graphs
        from seedtune.exporter.onnx_source.tone_map import ToneMap
    try:
        chosen = msgspec.convert(settings, ScanSettings)
    except msgspec.ValidationError as error:
        raise SeedTuneError(
            "a setting of the scan cannot be", value=str(error), remedy="seedtune scan --help"
        ) from error
    pictures = read_images(Path(images), first)
    size = (pictures.height, pictures.width, pictures.channels)
    normalisation = Normalisation(tuple(mean), tuple(deviation))
    spa = chosen.attack == "spa"
    tone_map = ToneMap(chosen.knots, pictures.channels, pictures.values.shape[1], spa, chosen.patterns if spa else 0)

    def maps(folder: Path, given: Classifier) -> None:
        write_map_graphs(folder, given, tone_map, normalisation)

    def pixels(folder: Path, given: Classifier) -> None:
        write_map_graphs(folder, given, PixelMap(tone_map.pixels, chosen.norm_bound), normalisation)

    def goal(probabilities: bool) -> Goal:
        return Goal(chosen.correlation, chosen.contrast, chosen.margin, probabilities)

    def loss(folder: Path, probabilities: bool) -> None:
        write_loss_graph(folder, goal(probabilities))

    def gradients(given: Classifier, values: Floats, scores: Floats, probabilities: bool) -> Gradients:
        with needs_extra("white-box", "an attack with gradients needs"):
            from seedtune.exporter.white_box.differentiable import Differentiable
            from seedtune.exporter.white_box.gradients import ClassifierGradients
        assert chosen.also is not None
        module = Differentiable(given, normalisation, probabilities)
        module.require_same(values, scores)
        return ClassifierGradients(module, chosen.also, tone_map, goal(probabilities))

    asked = Asked(
        read_classifier(Path(classifier), size, scores),
        pictures,
        Path(images),
        chosen,
        normalisation.mean,
        normalisation.deviation,
        [read_classifier(Path(other), size) for other in transfer],
        threads,
    )
    return made(asked, Path(out), Writers(maps, pixels, loss, gradients))


def export_classifier(module: Any, *, image_shape: tuple[int, ...], out: str | Path) -> None:
    """Writes a torch module that scores images as an ONNX file for :func:`scan`, after comparing both.

    Args:
        module: a ``torch.nn.Module``: float32 images [N, *image_shape] to scores [N, L].
        image_shape: of one image, such as (1, 28, 28).
        out: the file to write.

    Raises:
        SeedTuneError: it cannot be followed, ONNX Runtime gives other scores, or the extra ``export`` is missing.
    """
    with needs_extra("export", "exporting a classifier needs"):
        from seedtune.exporter.torch_classifier import export_torch_classifier
    export_torch_classifier(module, tuple(image_shape), Path(out))
