"""python scripts/bench scan [--pictures KIND ...] [--images N]: what scans find on robust and natural nets.

Three nets each for MNIST's digits and Fashion-MNIST's clothes are trained here once, with fixed seeds, and kept in
bench-output: trained adversarially (PGD within a bound), naturally, and naturally with another architecture. Then the
robust one is scanned at correlation 0.8 and 0.5; PGD with its gradients, random curves and inversion stand beside it;
gradients are put on top; and what is found on each net, and by PGD, is shown to the others. Of a sample of CIFAR-10 a
natural and a robust net are scanned by pattern and colour, beside Square Attack and a search for a map of colours.
Test digits and the sample are read from --data; everything else comes from package registries. The speed is that of
the search beside ONNX Runtime alone, in batches as large.

Examples:
    python scripts/bench scan --pictures digits
    python scripts/bench scan --images 200 --no-record
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from lab.report import command_line, report
from lab.vision.colour_controls import recoloured, square_attack
from lab.vision.data import Pictures, clothes, colour_pictures, test_digits, training_digits
from lab.vision.scanned import CALL, matrix_of, scanned, with_gradients
from lab.vision.training import Training, opened, robust_accuracy, tensors, trained
from seedtune.runtime.errors import EXIT_CODE, SeedTuneError
from seedtune.runtime.scan.answers import open_classifier

WHAT = "what scans find on robust and natural nets"
BAR = {
    "digits, robust net: clean, PGD-40": ">= 98 %, >= 85 %",
    "digits, found at 0.8 and 0.5": ">= 55 %, >= 80 %",
    "clothes, robust net: clean, PGD-40": ">= 80 %, >= 60 %",
    "clothes, found at 0.8 and 0.5": ">= 60 %, >= 90 %",
    "digits, PGD on top of SPA": ">= 15 points more",
    "colours, natural net: clean": ">= 65 %",
    "colours, SPA at 0.8": ">= 80 % natural, >= 40 % robust",
    "natural nets fooled by what the robust one is": ">= 70 %",
    "digits, queries a second": ">= 2,000, 0.8 of plain",
}
OUTPUT = Path("bench-output") / "scan"
DATA = Path(__file__).parents[3] / "shared" / "data"
COLOURS = "colours"
# Of the colour pictures, and how far a map may move a colour, as in the paper of ReColorAdv.
QUERIES, COLOUR_BOUND = 1000, 0.06
# Attacks of other libraries take some milliseconds a query.
CONTROLLED = 50


@dataclasses.dataclass(frozen=True)
class Kind:
    """Pictures of a kind: the bound of their robust net and of PGD, its step, and how the nets are trained."""

    name: str
    bound: float
    step_size: float
    robust: Training
    natural: Training


KINDS = {
    "digits": Kind("digits", 0.3, 0.02, Training(bound=0.3, epochs=40, plain_share=0.2), Training(epochs=12)),
    "clothes": Kind(
        "clothes",
        0.1,
        0.01,
        Training("dense", bound=0.1, epochs=10, shift=0),
        Training(epochs=4, shift=0),
    ),
    COLOURS: Kind(
        COLOURS,
        8 / 255,
        2 / 255,
        Training("colour", bound=8 / 255, steps=4, step_size=0.4, epochs=20, rate=0.1, shift=4, mirrored=True),
        Training("colour", epochs=40, rate=0.1, shift=4, mirrored=True),
    ),
}


def main() -> None:
    """Measures and reports."""
    parser = command_line(__file__, __doc__, BAR)
    parser.add_argument("--pictures", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--images", type=int, default=500, help="test pictures that are scanned")
    parser.add_argument("--data", type=Path, default=DATA, metavar="FOLDER", help="of the test digits")
    options = parser.parse_args()
    rows: list[tuple[str, str, str]] = []
    found: dict[str, object] = {}
    try:
        for name in options.pictures:
            found[name] = (_measure_colours if name == COLOURS else _measure)(KINDS[name], options, rows)
    except SeedTuneError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(EXIT_CODE)
    report("Scans, 400 queries a picture", rows, found)


def _measure(kind: Kind, options: argparse.Namespace, rows: list[tuple[str, str, str]]) -> dict[str, object]:
    learn, test = _pictures(kind, options.data)
    nets = {
        "robust": kind.robust,
        "natural": kind.natural,
        "natural, other architecture": dataclasses.replace(kind.natural, architecture="pooled"),
    }
    paths = {name: trained(training, learn, OUTPUT, kind.name) for name, training in nets.items()}
    clean, robust = robust_accuracy(opened(kind.robust, paths["robust"]), test, kind.bound, 40, kind.step_size)
    rows.append(
        (f"{kind.name}, robust net: clean, PGD-40", f"{clean:.1%}, {robust:.1%}", _bar(f"{kind.name}, robust net"))
    )
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder) / "test.npz"
        np.savez(images, images=test.images[: options.images], labels=test.labels[: options.images])
        results = {
            correlation: scanned(
                paths["robust"],
                images,
                Path(folder) / f"at-{correlation}",
                correlation=correlation,
                norm_bound=kind.bound,
            )
            for correlation in (0.8, 0.5)
        }
        shares = ", ".join(f"{result.success:.1%}" for result in results.values())
        rows.append((f"{kind.name}, found at 0.8 and 0.5", shares, _bar(f"{kind.name}, found")))
        for control in ("random", "inversion", "pixels"):
            beside = ", ".join(f"{result.controls[control]:.1%}" for result in results.values())
            rows.append((f"{kind.name}, beside it: {control}", beside, ""))
        rows.append(
            (
                f"{kind.name}, beside it: PGD-40 within {kind.bound}",
                f"{1 - robust / clean:.1%} of those it gets right",
                "",
            )
        )
        gradients = with_gradients(kind.name, paths, images, Path(folder), rows)
        matrix = matrix_of(kind.name, kind.bound, paths, images, Path(folder), rows)
        rate, plain = results[0.8].queries_a_second, _plain_rate(paths["robust"], test)
        bar = BAR["digits, queries a second"] if kind.name == "digits" else ""
        rows.append((f"{kind.name}, queries a second", f"{rate:,.0f}, {rate / plain:.2f} of plain ONNX Runtime", bar))
    return {
        "clean": clean,
        "pgd_40": robust,
        "success": {str(correlation): result.success for correlation, result in results.items()},
        "queries_median": {str(correlation): result.queries_median for correlation, result in results.items()},
        "controls": {str(correlation): result.controls for correlation, result in results.items()},
        "gradients": gradients,
        "transfer": matrix,
        "queries_a_second": rate,
        "plain_images_a_second": plain,
    }


def _bar(beginning: str) -> str:
    return next(bar for figure, bar in BAR.items() if figure.startswith(beginning))


def _pictures(kind: Kind, data: Path) -> tuple[Pictures, Pictures]:
    if kind.name == "digits":
        return training_digits(), test_digits(data)
    if kind.name == COLOURS:
        return colour_pictures(data, "train"), colour_pictures(data, "test")
    return clothes("train"), clothes("t10k")


def _measure_colours(kind: Kind, options: argparse.Namespace, rows: list[tuple[str, str, str]]) -> dict[str, object]:
    """Scans by pattern and colour of a natural and of a robust net."""
    learn, test = _pictures(kind, options.data)
    found: dict[str, object] = {}
    clean: list[str] = []
    scans: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder) / "test.npz"
        np.savez(images, images=test.images[: options.images], labels=test.labels[: options.images])
        for name, training in (("natural", kind.natural), ("robust", kind.robust)):
            path = trained(training, learn, OUTPUT, kind.name)
            model = opened(training, path)
            right, robust = robust_accuracy(model, test, kind.bound, 20, kind.step_size)
            clean.append(f"{name} {right:.1%} (PGD-20 {robust:.1%})")
            result = scanned(
                path, images, Path(folder) / name, attack="spa", queries=QUERIES, norm_bound=kind.bound, patterns=32
            )
            count = min(options.images, CONTROLLED)
            few = Pictures(test.images[:count], test.labels[:count])
            values = tensors(few).numpy()
            controls = result.controls | {
                "Square Attack": square_attack(model, values, few.labels, kind.bound, QUERIES),
                f"map of colours within {COLOUR_BOUND:g}": recoloured(model, values, few.labels, COLOUR_BOUND, QUERIES),
            }
            beside = ", ".join(f"{control} {share:.1%}" for control, share in controls.items())
            scans.append(f"{name} {result.success:.1%} (beside it: {beside})")
            found[name] = {"clean": right, "pgd_20": robust, "success": result.success, "controls": controls}
    rows.append((f"{kind.name}, natural and robust net: clean", "; ".join(clean), _bar(f"{kind.name}, natural")))
    rows.append((f"{kind.name}, SPA at 0.8, 1,000 queries", "; ".join(scans), _bar(f"{kind.name}, SPA")))
    return found


def _plain_rate(classifier: Path, test: Pictures) -> float:
    """Pictures a second of ONNX Runtime alone, in batches of a call, for as long as two seconds."""
    session = open_classifier(classifier)
    batch = (test.images[:CALL, None] / 255).astype(np.float32)
    name = session.get_inputs()[0].name
    session.run(None, {name: batch})
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < 2:
        session.run(None, {name: batch})
        count += len(batch)
    return count / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
