"""Parts of the bench of scans: gradients on top, and who is fooled by what was made on whom."""

from __future__ import annotations

from pathlib import Path

import seedtune
from lab.report import show
from seedtune.events import ScanFinished, ScanResult

# Logits by which another class leads where other nets shall be fooled too.
MARGIN = 3.0
CALL = 256
# Of a value, on top of what a scan made.
ON_TOP = 0.1
ON_TOP_BAR = ">= 15 points more"
FOOLED_BAR = ">= 70 %"
Rows = list[tuple[str, str, str]]


def scanned(classifier: Path, images: Path, out: Path, **options: object) -> ScanResult:
    """The result of a scan with ``options`` of `seedtune.scan`."""
    *_, last = seedtune.scan(classifier, images=images, out=out, images_per_call=CALL, **options)  # type: ignore[arg-type]
    assert isinstance(last, ScanFinished)
    return last.result


def with_gradients(kind: str, paths: dict[str, Path], images: Path, folder: Path, rows: Rows) -> dict[str, object]:
    """Scans of the robust net by pattern, and PGD and the margin's descent on top, shown to the natural nets."""
    found: dict[str, object] = {}
    others = [path for name, path in paths.items() if name != "robust"]
    for correlation in (0.8, 0.95):
        for also in ("pgd", "cw"):
            result = scanned(
                paths["robust"],
                images,
                folder / f"{also}-{correlation}",
                attack="spa",
                correlation=correlation,
                also=also,
                norm_bound=ON_TOP,
                transfer=others,
            )
            gradients = result.white_box
            assert gradients is not None
            assert gradients.on_map is not None
            bar = ON_TOP_BAR if kind == "digits" and also == "pgd" else ""
            shares = ", ".join(
                f"{share:.1%}" for share in (result.success, gradients.on_map, gradients.alone, gradients.on_top)
            )
            rows.append((f"{kind}, SPA at {correlation}, by gradients, {also} alone, {also} on top", shares, bar))
            moved = [
                ", ".join(f"{other.fooled / max(1, other.right):.1%}" for other in records)
                for records in (result.transfer, gradients.transfer_alone, gradients.transfer)
            ]
            rows.append((f"{kind}, the natural nets fooled by these", "; ".join(moved), ""))
            found[f"{also}, {correlation}"] = {
                "scan": result.success,
                "on_map": gradients.on_map,
                "alone": gradients.alone,
                "on_top": gradients.on_top,
                "transfer": moved,
            }
    return found


def matrix_of(
    kind: str, bound: float, paths: dict[str, Path], images: Path, folder: Path, rows: Rows
) -> dict[str, dict[str, float]]:
    """Made on one net, shown to all: the share of the pictures that each gets right and is then fooled by."""
    matrix: dict[str, dict[str, float]] = {}
    inverted: list[str] = []
    for number, (made_on, path) in enumerate(paths.items()):
        out = folder / f"made-{number}"
        result = scanned(
            path,
            images,
            out,
            margin=MARGIN,
            correlation=0.5,
            transfer=list(paths.values()),
            also="pgd",
            norm_bound=bound,
        )
        assert result.white_box is not None
        by_pgd = ", ".join(f"{other.fooled / max(1, other.right):.1%}" for other in result.white_box.transfer_alone)
        rows.append((f"{kind}, PGD within {bound:g} on the {made_on} net fools", by_pgd, ""))
        inverted.append(f"{made_on} {result.controls['inversion']:.1%}")
        matrix[made_on] = {
            name: other.fooled / other.right if other.right else 0.0
            for name, other in zip(paths, result.transfer, strict=True)
        }
        said = ", ".join(f"{name} {share:.1%}" for name, share in matrix[made_on].items())
        bar = FOOLED_BAR if made_on == "robust" else ""
        rows.append(
            (f"{kind}, found with margin {MARGIN:g} on the {made_on} net ({result.success:.1%}), fools", said, bar)
        )
    rows.append((f"{kind}, plain inversion fools", ", ".join(inverted), ""))
    show(
        f"{kind}: made on (down), fools (across)",
        ("", *paths),
        [(name, *(f"{share:.1%}" for share in line.values())) for name, line in matrix.items()],
    )
    return matrix
