"""A scan as one HTML file that needs nothing else: what was found, beside what is got by guessing, and a gallery."""

from __future__ import annotations

import base64
import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from seedtune.runtime.decoding import decoded, read_plain_file
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.extras import import_extra
from seedtune.runtime.files import require_writable, write_durably
from seedtune.runtime.report.rendering import Chart, render
from seedtune.runtime.scan.records import (
    LINES_FILE,
    PICTURES_FILE,
    RESULT_FILE,
    SCAN_FILE,
    ImageRecord,
    ScanDescription,
    ScanResult,
    TransferRecord,
)

REPORT_FILE = "report.html"
# Of a gallery: more would be looked at by nobody, and a page has a megabyte a few thousand.
MOST_PICTURES = 120
# A small picture is drawn this large at least, each pixel as a square.
SHOWN_PIXELS = 84
REMEDY = "make the scan again"


@dataclass(frozen=True)
class Shown:
    """A picture of the gallery: before and after as data URLs, and its record."""

    before: str
    after: str
    record: ImageRecord


def is_scan(folder: Path) -> bool:
    """Whether ``folder`` is a SCAN folder."""
    return (folder / SCAN_FILE).is_file()


def write_scan_report(folder: Path, out: str | os.PathLike[str] | None = None) -> Path:
    """Writes the page of the SCAN folder ``folder`` to ``out``, or to report.html in it, and returns where.

    Raises:
        SeedTuneError: the folder is damaged, plotly, jinja2 or pillow is not installed, or the file cannot be written.
    """
    target = folder / REPORT_FILE if out is None else Path(out)
    require_writable(target)
    write_durably(target, render_scan(folder).encode("utf-8", "replace"))
    return target


def render_scan(folder: Path) -> str:
    """The whole page as text; errors as of :func:`write_scan_report`."""
    description = _read(folder / SCAN_FILE, ScanDescription)
    result = _read(folder / RESULT_FILE, ScanResult)
    lines = read_plain_file(folder / LINES_FILE, "the record of pictures", REMEDY).splitlines()
    records = [
        decoded(line, ImageRecord, folder / LINES_FILE, "a line is damaged", "one a picture", REMEDY) for line in lines
    ]
    return render(
        "scan.html.jinja",
        [_queries_chart(records, result)],
        scan=description,
        result=result,
        classifier=Path(description.classifier.path).name,
        others=[Path(other.path).name for other in result.transfer],
        shown_to_others=_shown_to_others(result),
        gallery=_gallery(folder, records, description),
        seconds=result.seconds,
        norm_bound=description.settings.get("scan.norm_bound"),
    )


def _shown_to_others(result: ScanResult) -> list[tuple[str, tuple[TransferRecord, ...]]]:
    """What made the pictures, and what other classifiers say to them."""
    found, gradients = [("the scan", result.transfer)], result.white_box
    if gradients is not None:
        found += [(gradients.kind, gradients.transfer_alone), (f"{gradients.kind} on top", gradients.transfer)]
    return found


def _read(path: Path, kind: type[Any]) -> Any:
    return decoded(read_plain_file(path, "the scan", REMEDY), kind, path, "this is no scan", kind.__name__, REMEDY)


def _gallery(folder: Path, records: list[ImageRecord], description: ScanDescription) -> list[Shown]:
    found = [record for record in records if record.found]
    path = folder / PICTURES_FILE
    try:
        with np.load(path, allow_pickle=False) as arrays:
            before, after = arrays["originals"], arrays["images"]
    except (OSError, ValueError, KeyError) as error:
        raise SeedTuneError("the pictures cannot be read", file=path, value=str(error)[:200], remedy=REMEDY) from error
    size = description.images
    expected = (len(found), size.height, size.width, size.channels)
    if before.shape != expected or after.shape != expected or before.dtype != np.uint8 or after.dtype != np.uint8:
        raise SeedTuneError(
            "the pictures are not those of the scan", file=path, value=str(after.shape), rule=str(expected)
        )
    # Evenly over all, so that every class is seen.
    places = np.linspace(0, len(found) - 1, min(len(found), MOST_PICTURES)).astype(int)
    chosen = np.unique(places).tolist()
    return [Shown(_data_url(before[place]), _data_url(after[place]), found[place]) for place in chosen]


def _data_url(picture: npt.NDArray[np.uint8]) -> str:
    """Of [H, W, C] bytes, as PNG."""
    image = import_extra("PIL.Image", "scan", "the gallery")
    shown = image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture[..., :3])
    times = -(-SHOWN_PIXELS // max(shown.size))
    shown = shown.resize((shown.size[0] * times, shown.size[1] * times), image.Resampling.NEAREST)
    written = io.BytesIO()
    shown.save(written, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(written.getvalue()).decode()


def _queries_chart(records: list[ImageRecord], result: ScanResult) -> Chart:
    """The share of pictures that were found within so many queries."""
    graphs = import_extra("plotly.graph_objects", "report", "the report")
    queries = np.sort([record.queries for record in records if record.found])
    share = np.arange(1, len(queries) + 1) / max(1, len(records))
    figure = graphs.Figure()
    figure.add_scatter(x=queries.tolist(), y=(100 * share).tolist(), mode="lines", line_shape="hv", name="the scan")
    figure.add_hline(y=100 * result.controls.get("random", 0.0), line_dash="dot", annotation_text="random search")
    figure.update_layout(xaxis_title="queries a picture", yaxis_title="pictures found, %", yaxis_range=[0, 100])
    return Chart("queries", "Found within so many queries", "Each probe asks the classifier twice.", figure)
