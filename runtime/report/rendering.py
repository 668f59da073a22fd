"""What every page has in common: escaping, filters, and charts whose library is packed into the page.

plotly's library has 4.8 MB. It is kept compressed in the page and unpacked by the page's own script, so a page has
less than half of that and still loads nothing from anywhere. The policy of the page names the SHA-256 of what is
unpacked, too.
"""

from __future__ import annotations

import base64
import functools
import gzip
import hashlib
import json
import re
from dataclasses import dataclass
from importlib import resources
from typing import Any

from seedtune.runtime.durations import short_duration
from seedtune.runtime.errors import shorten
from seedtune.runtime.extras import import_extra

MAX_TEXT_CHARACTERS = 700
NOTHING = "\N{EN DASH}"
# Control characters other than tab and newline: HTML forbids them, and some turn text around.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Chart:
    """A chart of a page: its id, its heading, what it shows, and plotly's figure."""

    name: str
    title: str
    caption: str
    figure: Any


def render(template: str, charts: list[Chart], **values: Any) -> str:
    """The page that ``template`` of this room makes of ``values`` and ``charts``.

    Raises:
        SeedTuneError: plotly or jinja2 is not installed.
    """
    jinja2, markup = (
        import_extra("jinja2", "report", "the report"),
        import_extra("markupsafe", "report", "the report").Markup,
    )
    folder = resources.files("seedtune.runtime.report")
    style, script, source = ((folder / name).read_text("utf-8") for name in ("page.css", "script.html.jinja", template))
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "percent": lambda value: NOTHING if value is None else f"{100 * value:.1f} %",
        "probability": lambda value: NOTHING if value is None else f"{value:.3f}",
        "megabytes": lambda count: NOTHING if count is None else f"{count / 1e6:,.0f} MB",
        "duration": short_duration,
        "count": lambda number: f"{number:,}",
        "p_value": lambda p: f"=\N{NO-BREAK SPACE}{p:.3f}" if p >= 0.001 else f"=\N{NO-BREAK SPACE}{p:.1e}",
        "clean": clean_text,
        "plain": _plain,
    }
    library, packed = _plotly() if charts else ("", "")
    page: str = environment.from_string(source).render(
        charts=[(chart.name, chart.title, chart.caption) for chart in charts],
        chart_data=markup(script_json({chart.name: chart.figure.to_plotly_json() for chart in charts})),
        # These three are ours, not the run's: the only text of the page that is not escaped.
        style=markup(style),
        script=markup(script),
        plotly_packed=markup(packed),
        script_hashes=[_sha256_source(text) for text in ((library, script) if charts else ())],
        **values,
    )
    return page


def clean_text(text: object, limit: int = MAX_TEXT_CHARACTERS) -> str:
    """``text`` without control characters, cut to ``limit`` characters; not escaped yet."""
    return shorten(_CONTROL.sub("\N{REPLACEMENT CHARACTER}", str(text)), limit)


def script_json(value: object) -> str:
    """JSON that is safe inside a script element: nothing in it can end the element or open a comment."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))  # ASCII only, so U+2028 is escaped too
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@functools.cache
def _plotly() -> tuple[str, str]:
    """plotly's library as text, and packed: gzip in base64. The same bytes at any time."""
    library = import_extra("plotly.offline", "report", "the report").get_plotlyjs().replace("\r\n", "\n")
    return library, base64.b64encode(gzip.compress(library.encode(), mtime=0)).decode()


def _plain(value: object) -> str:
    """A setting for people: numbers and words as they are, anything nested as JSON."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return NOTHING
    if isinstance(value, int | float | str):
        return str(value)
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return ", ".join(value)
    return json.dumps(value, ensure_ascii=False)


def _sha256_source(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"'sha256-{digest}'"
