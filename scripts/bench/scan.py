"""python scripts/bench scan [--pictures KIND ...] [--images N]: what scans find on robust and natural nets.

Three nets each for MNIST's digits and Fashion-MNIST's clothes are trained here once, with fixed seeds, and kept in
bench-output: trained adversarially (PGD within a bound), naturally, and naturally with another architecture. Then the
robust one is scanned at correlation 0.8 and 0.5; PGD with its gradients, random curves and inversion stand beside it;
and what is found on each net is shown to the others. Test digits are read from --data; everything else comes from
package registries. The speed is that of the search beside ONNX Runtime alone with batches of the same size.

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

import seedtune
from lab.report import command_line, report, show
from lab.vision.data import Pictures, clothes, test_digits, training_digits
from lab.vision.nets import Training, opened, robust_accuracy, trained
from seedtune.events import ScanFinished, ScanResult
from seedtune.runtime.errors import EXIT_CODE, SeedTuneError
from seedtune.runtime.scan.answers import open_classifier

WHAT = "what scans find on robust and natural nets"
BAR = {
    "digits, robust net: clean, PGD-40": ">= 98 %, >= 85 %",
    "digits, found at 0.8 and 0.5": ">= 55 %, >= 80 %",
    "clothes, robust net: clean, PGD-40": ">= 80 %, >= 60 %",
    "clothes, found at 0.8 and 0.5": ">= 60 %, >= 90 %",
    "natural nets fooled by what the robust one is": ">= 70 %",
    "digits, queries a second": ">= 2,000, 0.8 of plain",
}
OUTPUT = Path("bench-output") / "scan"
DATA = Path(__file__).parents[3] / "shared" / "data"
# Logits by which another class leads where other nets shall be fooled too.
MARGIN = 3.0
CALL = 256


@dataclasses.dataclass(frozen=True)
class Kind:
    """Pictures of a kind: the bound of their robust net and of PGD, its step, and how the nets are trained."""

    name: str
    bound: float
    step_size: float
    robust: Training
    natural: Training


KINDS = {
    "digits": Kind("digits", 0.3, 0.02, Training(bound=0.3, epochs=40), Training(epochs=12)),
    "clothes": Kind(
        "clothes",
        0.1,
        0.01,
        Training(bound=0.1, step_size=0.03, epochs=8, shift=0, wide=True),
        Training(epochs=4, shift=0),
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
            found[name] = _measure(KINDS[name], options, rows)
    except SeedTuneError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(EXIT_CODE)
    report("Scans, 400 queries a picture", rows, found)


def _measure(kind: Kind, options: argparse.Namespace, rows: list[tuple[str, str, str]]) -> dict[str, object]:
    learn, test = _pictures(kind, options.data)
    nets = {
        "robust": kind.robust,
        "natural": kind.natural,
        "natural, other architecture": dataclasses.replace(kind.natural, wide=not kind.natural.wide),
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
            correlation: _scanned(
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
        matrix = _matrix(kind, paths, images, Path(folder), rows)
        rate, plain = results[0.8].queries_a_second, _plain_rate(paths["robust"], test)
        bar = BAR["digits, queries a second"] if kind.name == "digits" else ""
        rows.append((f"{kind.name}, queries a second", f"{rate:,.0f}, {rate / plain:.2f} of plain ONNX Runtime", bar))
    return {
        "clean": clean,
        "pgd_40": robust,
        "success": {str(correlation): result.success for correlation, result in results.items()},
        "queries_median": {str(correlation): result.queries_median for correlation, result in results.items()},
        "controls": {str(correlation): result.controls for correlation, result in results.items()},
        "transfer": matrix,
        "queries_a_second": rate,
        "plain_images_a_second": plain,
    }


def _bar(beginning: str) -> str:
    return next(bar for figure, bar in BAR.items() if figure.startswith(beginning))


def _pictures(kind: Kind, data: Path) -> tuple[Pictures, Pictures]:
    if kind.name == "digits":
        return training_digits(), test_digits(data)
    return clothes("train"), clothes("t10k")


def _scanned(classifier: Path, images: Path, out: Path, **options: object) -> ScanResult:
    *_, last = seedtune.scan(classifier, images=images, out=out, images_per_call=CALL, **options)  # type: ignore[arg-type]
    assert isinstance(last, ScanFinished)
    return last.result


def _matrix(
    kind: Kind, paths: dict[str, Path], images: Path, folder: Path, rows: list[tuple[str, str, str]]
) -> dict[str, dict[str, float]]:
    """Made on one net, shown to all: the share of the pictures that each gets right and is then fooled by."""
    matrix: dict[str, dict[str, float]] = {}
    for number, (made_on, path) in enumerate(paths.items()):
        out = folder / f"made-{number}"
        result = _scanned(path, images, out, margin=MARGIN, correlation=0.5, transfer=list(paths.values()))
        matrix[made_on] = {
            name: other.fooled / other.right if other.right else 0.0
            for name, other in zip(paths, result.transfer, strict=True)
        }
        said = ", ".join(f"{name} {share:.1%}" for name, share in matrix[made_on].items())
        bar = BAR["natural nets fooled by what the robust one is"] if made_on == "robust" else ""
        rows.append(
            (f"{kind.name}, found with margin {MARGIN:g} on the {made_on} net ({result.success:.1%}), fools", said, bar)
        )
    show(
        f"{kind.name}: made on (down), fools (across)",
        ("", *paths),
        [(name, *(f"{share:.1%}" for share in line.values())) for name, line in matrix.items()],
    )
    return matrix


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
