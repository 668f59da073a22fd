"""Whether a phone can tune: what is wrong with it, and what to do, one finding a line."""

from __future__ import annotations

from dataclasses import dataclass

from seedtune.runtime.device.app.facts import Facts
from seedtune.runtime.device.app.names import ABIS, LEAST_SDK
from seedtune.runtime.errors import SeedTuneError

OK, NOTE, MISSING = "ok", "note", "missing"
# Guesses: what a bundle of a model of a billion parameters takes in int8, and what tuning it leaves to the phone.
ENOUGH_STORAGE_BYTES = 2_000_000_000
ENOUGH_MEMORY_BYTES = 1_000_000_000
# As the app waits below 15 % without a charger, and from thermal status 3 (severe) on (PausePolicy.kt).
LOW_BATTERY_PERCENT = 15
SEVERE = 3
HOT_BATTERY_CELSIUS = 40.0


@dataclass(frozen=True)
class Fit:
    """One finding: ``status`` is ok, note (works, but) or missing (does not work)."""

    name: str
    status: str
    found: str
    advice: str = ""


def fitness(facts: Facts) -> list[Fit]:
    """Everything that decides whether the phone can tune, in the order in which to put it right."""
    return [
        _android(facts),
        _processor(facts),
        _app(facts),
        _background(facts),
        _memory(facts),
        _storage(facts),
        _battery(facts),
        _heat(facts),
    ]


def require_fit(facts: Facts) -> None:
    """Raises SeedTuneError for a phone on which the app cannot run, whatever is done."""
    for fit in (_android(facts), _processor(facts)):
        if fit.status == MISSING:
            raise SeedTuneError(f"this phone cannot run the app: {fit.name}", value=fit.found, remedy=fit.advice)


def _android(facts: Facts) -> Fit:
    found = f"Android {facts.info.android} (SDK {facts.info.sdk}), {facts.info.manufacturer} {facts.info.model}"
    if not facts.booted:
        return Fit("Android", MISSING, f"{found}: still starting", "wait until the phone has started")
    if facts.info.sdk < LEAST_SDK:
        return Fit("Android", MISSING, found, "the app needs Android 8 (SDK 26) or newer: take another phone")
    return Fit("Android", OK, found)


def _processor(facts: Facts) -> Fit:
    found = ", ".join(facts.info.abis) or "unknown"
    if not set(facts.info.abis) & set(ABIS):
        return Fit(
            "processor", MISSING, found, f"the app's runtime is built for {' and '.join(ABIS)}: take another phone"
        )
    return Fit("processor", OK, found)


def _app(facts: Facts) -> Fit:
    if not facts.installed:
        return Fit("app", MISSING, "not installed", "seedtune device install")
    version = facts.info.app_version or "unknown version"
    if not facts.debuggable:
        advice = "run-as is refused to it, so its files must be on shared storage; ./scripts/build_apk for another"
        return Fit("app", NOTE, f"{version}, a release build", advice)
    return Fit("app", OK, version + (", running" if facts.running else ""))


def _background(facts: Facts) -> Fit:
    if not facts.installed:
        return Fit("background", NOTE, "unknown without the app")
    if not facts.exempt:
        advice = "seedtune device install asks to lift it; or Settings > Apps > SeedTune > Battery > Unrestricted"
        return Fit("background", NOTE, "battery optimisation may end long runs", advice)
    return Fit("background", OK, "no battery optimisation for the app")


def _memory(facts: Facts) -> Fit:
    total, free = facts.info.memory_bytes, facts.available_memory_bytes
    if total is None or free is None:
        return Fit("memory", NOTE, "unknown")
    found = f"{free / 1e9:.1f} GB of {total / 1e9:.1f} GB available"
    if free < ENOUGH_MEMORY_BYTES:
        return Fit("memory", NOTE, found, "close other apps, or give --memory-limit: weights are then streamed")
    return Fit("memory", OK, found)


def _storage(facts: Facts) -> Fit:
    free = facts.free_storage_bytes
    if free is None:
        return Fit("storage", NOTE, "unknown")
    good = free >= ENOUGH_STORAGE_BYTES
    advice = "" if good else "a bundle takes a byte a parameter in int8, two in fp16, four in fp32"
    return Fit("storage", OK if good else NOTE, f"{free / 1e9:.1f} GB free", advice)


def _battery(facts: Facts) -> Fit:
    battery = facts.battery
    if battery.percent is None:
        return Fit("battery", NOTE, "unknown")
    found = f"{battery.percent:.0f} %, {'charging' if battery.charging else 'not charging'}"
    if battery.celsius is not None:
        found += f", {battery.celsius:.1f} \N{DEGREE SIGN}C"
    if battery.percent < LOW_BATTERY_PERCENT and not battery.charging:
        return Fit("battery", MISSING, found, f"the app waits below {LOW_BATTERY_PERCENT} %: charge the phone")
    if battery.celsius is not None and battery.celsius >= HOT_BATTERY_CELSIUS:
        return Fit("battery", NOTE, found, "let it cool down: a hot phone is slow, and its battery wears out")
    return Fit("battery", OK, found)


def _heat(facts: Facts) -> Fit:
    status, skin = facts.thermal.status, facts.thermal.skin_celsius
    if status is None:
        return Fit("heat", NOTE, "not told (before Android 10)")
    found = f"thermal status {status}" + ("" if skin is None else f", skin {skin:.1f} \N{DEGREE SIGN}C")
    if status >= SEVERE:
        return Fit("heat", MISSING, found, "the app waits until it has cooled down")
    return Fit("heat", OK, found)
