"""One truth per option: what the fields of a settings struct say of themselves, and how given options change it.

A struct says type, bounds and description of each field (``msgspec.Meta``). A field whose value is itself one of
several structs with a ``kind`` (an estimator, an optimizer) is a *part*: its name chooses the kind, and the fields of
the chosen kind are options like any other.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import math
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.estimators.settings import ESTIMATORS
from seedtune.runtime.optimizers.settings import OPTIMIZERS

# The parts of a run that come in kinds, and the kinds.
PARTS: dict[str, tuple[type[msgspec.Struct], ...]] = {"estimator": ESTIMATORS, "optimizer": OPTIMIZERS}
DESCRIPTIONS = {
    "estimator": "How the slope of the loss is measured.",
    "optimizer": "How measured slopes become steps.",
}
MAX_INTEGER = 2**63 - 1
Struct = TypeVar("Struct", bound=msgspec.Struct)


@dataclass(frozen=True)
class Option:
    """One option.

    Attributes:
        name: as in Python; on the command line ``--name`` with dashes.
        kind: int, float or str.
        default: what a run has without it.
        description: one sentence or two.
        choices: the words that there are, for a str.
        bounds: such as ">= 1", for a number.
        of: the kinds that have it, such as ("momentum",); empty for an option of every run.
    """

    name: str
    kind: type
    default: int | float | str
    description: str
    choices: tuple[str, ...] = ()
    bounds: str = ""
    of: tuple[str, ...] = ()

    @property
    def flag(self) -> str:
        """As on the command line."""
        return "--" + self.name.replace("_", "-")


def word_of(struct: type[msgspec.Struct]) -> str:
    """The word that chooses ``struct`` among the kinds of its part."""
    return str(struct.__struct_config__.tag)


def options_of(struct: type[msgspec.Struct]) -> list[Option]:
    """All options of ``struct`` and of its parts, each once."""
    found: dict[str, Option] = {}
    for field in _fields(struct):
        if field.name not in PARTS:
            found[field.name] = _option(field)
            continue
        kinds = PARTS[field.name]
        words = tuple(word_of(kind) for kind in kinds)
        found[field.name] = Option(field.name, str, word_of(type(field.default)), DESCRIPTIONS[field.name], words)
        for kind in kinds:
            for of_kind in _fields(kind):
                before = found.get(of_kind.name)
                of = (*(before.of if before else ()), word_of(kind))
                # Where kinds have defaults of their own, that of the first stands; the description tells the others.
                found[of_kind.name] = dataclasses.replace(before, of=of) if before else _option(of_kind, of)
        # What every kind of a part has, every run has.
        for name, option in found.items():
            if option.of == words:
                found[name] = _without_kinds(option)
    return list(found.values())


def _fields(struct: type[msgspec.Struct]) -> tuple[inspect.Field, ...]:
    described = inspect.type_info(struct)
    assert isinstance(described, inspect.StructType)
    return described.fields


def _option(field: inspect.Field, of: tuple[str, ...] = ()) -> Option:
    described, description = field.type, ""
    if isinstance(described, inspect.Metadata):
        description = (described.extra_json_schema or {}).get("description", "")
        described = described.type
    if isinstance(described, inspect.LiteralType):
        return Option(field.name, str, field.default, description, tuple(map(str, described.values)), of=of)
    assert isinstance(described, inspect.IntType | inspect.FloatType), field
    kind = int if isinstance(described, inspect.IntType) else float
    signs = (("ge", ">="), ("gt", ">"), ("le", "<="), ("lt", "<"))
    limits = [(sign, getattr(described, name)) for name, sign in signs]
    bounds = [f"{sign} {limit}" for sign, limit in limits if limit is not None]
    return Option(field.name, kind, field.default, description, bounds=" and ".join(bounds), of=of)


def _without_kinds(option: Option) -> Option:
    return Option(option.name, option.kind, option.default, option.description, option.choices, option.bounds)


def check(settings: msgspec.Struct) -> None:
    """Raises SeedTuneError for the first value of ``settings`` or of its parts that is out of range."""
    for field in _fields(type(settings)):
        value = getattr(settings, field.name)
        if field.name in PARTS:
            check(value)
            continue
        if not _fits(value, typing.get_type_hints(type(settings), include_extras=True)[field.name]):
            option = _option(field)
            number = "a finite number" if option.kind is float else "an integer"
            # What a file of JSON holds bounds an integer that has no upper bound of its own.
            beyond = option.kind is int and isinstance(value, int) and value > MAX_INTEGER
            bounds = f"{option.bounds} and <= {MAX_INTEGER}" if beyond else option.bounds
            raise SeedTuneError(
                f"{option.flag} is out of range",
                value=value,
                rule=", ".join(option.choices) or f"{number} {bounds}",
                remedy=f"choose another {option.flag}",
            )


def _fits(value: object, annotation: Any) -> bool:
    try:
        converted = msgspec.convert(value, annotation)
    except (msgspec.ValidationError, OverflowError, UnicodeEncodeError):
        return False
    if isinstance(converted, float):
        return isinstance(value, float) and math.isfinite(value)
    # A file of JSON holds no larger ones.
    return not isinstance(converted, int) or abs(converted) <= MAX_INTEGER


def chosen(settings: Struct, options: Mapping[str, Any]) -> Struct:
    """``settings`` with ``options`` in place of some of its values; see `run.settings.Settings.changed`."""
    known = {option.name: option for option in options_of(type(settings))}
    given = {plain_name(name): value for name, value in options.items()}
    for name, value in given.items():
        if name not in known:
            close = difflib.get_close_matches(name, [*known, *_dotted()], 1)
            raise SeedTuneError(
                "there is no such setting",
                value=name,
                rule=", ".join(known),
                remedy=f"did you mean {close[0]}?" if close else "leave it out",
            )
        if known[name].kind is float and type(value) is int:
            # One that no float holds stays, and is out of range.
            with contextlib.suppress(OverflowError):
                given[name] = float(value)
    changes: dict[str, Any] = {}
    for part in (name for name in PARTS if hasattr(settings, name)):
        before = getattr(settings, part)
        kind = _kind(part, given.pop(part, word_of(type(before))))
        kept = {name: value for name, value in _unlike_default(before).items() if name in kind.__struct_fields__}
        fields = {name: given.pop(name) for name in kind.__struct_fields__ if name in given}
        changes[part] = kind(**(kept | fields))
    for name in given:
        if known[name].of:
            kinds = " or ".join(known[name].of)
            part = next(part for part, kinds_of in PARTS.items() if known[name].of[0] in map(word_of, kinds_of))
            raise SeedTuneError(
                f"{known[name].flag} belongs to another {part}",
                value=f"{part} {word_of(type(changes[part]))}",
                rule=f"{part} {kinds}",
                remedy=f"add --{part} {known[name].of[0].replace('_', '-')}, or leave {known[name].flag} out",
            )
    return msgspec.structs.replace(settings, **changes, **given)


def _unlike_default(part: msgspec.Struct) -> dict[str, Any]:
    """What another kind takes over: a learning rate that nobody chose is no learning rate of another optimizer."""
    default = type(part)()
    values = {name: getattr(part, name) for name in part.__struct_fields__}
    return {name: value for name, value in values.items() if value != getattr(default, name)}


def check_each(settings: msgspec.Struct, options: Mapping[str, Any]) -> None:
    """Raises SeedTuneError where one of ``options`` is none, or out of range whatever the others are."""
    known = {option.name: option for option in options_of(type(settings))}
    for name, value in options.items():
        option = known.get(plain_name(name))
        kinds = {part: of for part, words in _words().items() for of in words if option and of in option.of}
        check(chosen(settings, kinds | {name: value}))


def _words() -> dict[str, list[str]]:
    return {part: [word_of(kind) for kind in kinds] for part, kinds in PARTS.items()}


def without_other_kinds(settings: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """``settings`` of a file without what they say of kinds that ``given`` options replace by others."""
    kept = dict(settings)
    for part in (part for part in PARTS if part in given):
        fields = {f"{part}.{name}" for name in _kind(part, given[part]).__struct_fields__}
        kept = {name: value for name, value in kept.items() if not name.startswith(f"{part}.") or name in fields}
    return kept


def plain_name(name: str) -> str:
    """The option that a dotted name of run.json stands for: ``optimizer.kind`` is ``optimizer``; others as they are."""
    return _dotted().get(name, name)


def _dotted() -> dict[str, str]:
    """The names that settings have in run.json, where it is not that of their option -> their option."""
    names = {f"{part}.kind": part for part in PARTS}
    return names | {
        f"{part}.{field}": field for part, kinds in PARTS.items() for kind in kinds for field in kind.__struct_fields__
    }


def _kind(part: str, word: object) -> type[msgspec.Struct]:
    for kind in PARTS[part]:
        if isinstance(word, str) and word.replace("-", "_") == word_of(kind):
            return kind
    words = [word_of(kind) for kind in PARTS[part]]
    close = difflib.get_close_matches(word if isinstance(word, str) else "", words, 1)
    raise SeedTuneError(
        f"there is no such {part}",
        value=word,
        rule=", ".join(words),
        remedy=f"did you mean {close[0]}?" if close else f"choose another --{part}",
    )
