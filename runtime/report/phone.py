"""What a page says of the phone that a run was made on: memory by kind over time, heat, energy; whether it is whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from seedtune.runtime.extras import import_extra
from seedtune.runtime.report.figures import BLUE, ORANGE, PURPLE, TEAL, draw_line, empty_figure, thin
from seedtune.runtime.report.rendering import Chart
from seedtune.runtime.telemetry.phone.series import PhoneSeries, Sample

# Series -> colour, dash: kinds of one counter have one colour.
MEMORY_LINES = {
    "PSS": (TEAL, "solid"),
    "PSS, dumpsys": (TEAL, "dot"),
    "RssAnon": (ORANGE, "solid"),
    "RssFile": (BLUE, "dash"),
    "VmHWM": (PURPLE, "dashdot"),
}
HEAT_LINES = {"skin, \N{DEGREE SIGN}C": (ORANGE, "solid"), "battery, \N{DEGREE SIGN}C": (BLUE, "dash")}
# Status of android.os.PowerManager -> its name.
THERMAL_STATUS = ("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")


@dataclass(frozen=True)
class Fact:
    """A line of the table: ``place`` is the file and line that the value is read from, ``href`` leads to the file."""

    name: str
    value: str
    place: str = ""

    @property
    def href(self) -> str:
        """The file, beside the page."""
        return self.place.partition(":")[0]


def phone_facts(phone: PhoneSeries) -> list[Fact]:
    """The table; empty for a run of a desk."""
    facts = []
    if phone.info:
        info = phone.info
        facts.append(
            Fact("phone", f"{info.manufacturer} {info.model}, Android {info.android} ({', '.join(info.abis[:1])})")
        )
    if not phone:
        return facts
    for name in ("PSS", "PSS, dumpsys", "RssAnon", "RssFile", "VmHWM", "SwapPss"):
        peak = phone.peak(name)
        if peak:
            facts.append(Fact(f"most {name}", f"{peak.value / 1e6:,.1f} MB", peak.place))
    hottest, energy = phone.peak("skin, \N{DEGREE SIGN}C"), phone.last("energy, J")
    if hottest:
        facts.append(Fact("hottest skin", f"{hottest.value:.1f} \N{DEGREE SIGN}C", hottest.place))
    status = phone.peak("thermal status") or phone.peak("thermal status, dumpsys")
    if status:
        facts.append(Fact("worst thermal status", _status_name(status.value), status.place))
    if energy:
        facts.append(Fact("energy through the battery", f"{energy.value:,.0f} J", energy.place))
    found = phone.continuity
    if found.lines:
        whole = f"{found.lines:,} of {found.processes} process{'es' if found.processes > 1 else ''}"
        facts.append(Fact("lines of the app", f"{whole}; {found.missing} missing, {found.doubled} doubled"))
    if phone.unread:
        facts.append(Fact("lines that are none", f"{len(phone.unread)}", phone.unread[0]))
    return facts


def phone_charts(phone: PhoneSeries) -> list[Chart]:
    """Memory, heat and energy over time, those that the phone told of."""
    charts = (
        (
            "phone-memory",
            "Memory of the phone's process over time",
            MEMORY_CAPTION,
            _lines(phone, MEMORY_LINES, "MB", 1e-6),
        ),
        (
            "heat",
            "Temperature",
            "Of the phone's skin and its battery.",
            _lines(phone, HEAT_LINES, "\N{DEGREE SIGN}C", 1.0),
        ),
        ("energy", "Energy", ENERGY_CAPTION, _lines(phone, {"energy, J": (TEAL, "solid")}, "J", 1.0)),
    )
    return [Chart(name, title, caption, figure) for name, title, caption, figure in charts if figure is not None]


MEMORY_CAPTION = (
    "By the app itself (/proc, once a second) and by dumpsys from outside. PSS counts shared pages by their share. "
    "1 MB is 10\N{SUPERSCRIPT SIX} bytes."
)
ENERGY_CAPTION = (
    "What went through the battery since the process began, by current and voltage; a charger's share counts too."
)


def seconds_and_values(samples: Sequence[Sample], scale: float) -> tuple[list[float], list[float | None]]:
    """A series as two columns for a chart, thinned; seconds to the hundredth."""
    places, values = thin(list(range(len(samples))), [sample.value * scale for sample in samples])
    seconds = [round(samples[place].seconds, 2) for place in places]
    return seconds, [None if value is None else round(value, 3) for value in values]


def _lines(phone: PhoneSeries, lines: dict[str, tuple[str, str]], unit: str, scale: float) -> Any:
    import_extra("plotly.graph_objects", "report", "the report")
    figure = empty_figure(unit, "seconds")
    for name, (colour, dash) in lines.items():
        samples = phone.series.get(name, [])
        if samples:
            x, y = seconds_and_values(samples, scale)
            draw_line(figure, x, y, name, colour, line={"dash": dash})
    return figure.update_yaxes(rangemode="tozero") if figure.data else None


def _status_name(value: float) -> str:
    number = int(value)
    return THERMAL_STATUS[number] if 0 <= number < len(THERMAL_STATUS) else str(number)
