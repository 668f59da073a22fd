"""Settings as options of a command: made from what `run/options.py` knows of each."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec
import typer

from seedtune.runtime.run.options import Option, options_of
from seedtune.runtime.run.settings import Settings


def with_settings(command: Callable[..., None], struct: type[msgspec.Struct] = Settings) -> Callable[..., None]:
    """``command``, whose ``**settings`` are one option for each of ``struct``; those left out are not passed on."""
    signature = inspect.signature(command)
    own = [parameter for parameter in signature.parameters.values() if parameter.kind is not parameter.VAR_KEYWORD]
    hints = typing.get_type_hints(command, include_extras=True)
    made = {option.name: _annotation(option) for option in options_of(struct)}

    @functools.wraps(command)
    def call(**given: Any) -> None:
        command(**{name: value for name, value in given.items() if name not in made or value is not None})

    parameters = [parameter.replace(kind=parameter.KEYWORD_ONLY, annotation=hints[parameter.name]) for parameter in own]
    for name, annotation in made.items():
        parameters.append(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation))
    call.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {**hints, **made}
    return call


def _annotation(option: Option) -> Any:
    kind: Any = option.kind
    if option.choices:
        kind = Literal[tuple(word.replace("_", "-") for word in option.choices)]
    only = f" (optimizer {' or '.join(option.of)})" if option.of else ""
    bounds = f"{option.bounds}; " if option.bounds else ""
    default = str(option.default).replace("_", "-")
    told = f"{option.description}{only} [{bounds}default: {default}]"
    return Annotated[kind | None, typer.Option(option.flag, help=told)]
