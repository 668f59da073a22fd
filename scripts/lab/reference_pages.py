"""The pages docs/reference/cli.md and python.md, made from the code; `python scripts/make_reference` writes them."""

from __future__ import annotations

import dataclasses
import inspect
import re
import typing
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Literal

import msgspec
import typer
from typer.models import ArgumentInfo, OptionInfo

import seedtune
from seedtune.runtime.cli.main import app

NOTE = "<!-- Made by `python scripts/make_reference` from the code; a test compares. Edit the code instead. -->"


def cli_page() -> str:
    """Every command with its options, as ``--help`` has them."""
    lines = ["# The command line", "", NOTE, ""]
    lines += ["What all commands have in common is in [cli-conventions.md](cli-conventions.md).", ""]
    for command in app.registered_commands:
        assert command.callback is not None
        lines += [*_command(str(command.name), command.callback), ""]
    for group in app.registered_groups:
        assert group.typer_instance is not None
        for command in group.typer_instance.registered_commands:
            assert command.callback is not None
            lines += [*_command(f"{group.typer_instance.info.name} {command.name}", command.callback), ""]
    return "\n".join(lines).rstrip() + "\n"


def _commands(group: typer.Typer, before: str = "") -> Iterator[tuple[str, Callable[..., object]]]:
    """Every command with its whole name, those of groups behind those of their own."""
    for command in group.registered_commands:
        assert command.callback is not None
        yield f"{before}{command.name}", command.callback
    for inner in group.registered_groups:
        assert inner.typer_instance is not None
        yield from _commands(inner.typer_instance, f"{before}{inner.typer_instance.info.name} ")


def _command(name: str, function: Callable[..., object]) -> Iterator[str]:
    about, _, examples = inspect.cleandoc(function.__doc__ or "").partition("Examples:")
    rows, arguments = [], []
    for parameter in inspect.signature(function, eval_str=True).parameters.values():
        if parameter.annotation is typer.Context:
            continue
        kind, info = typing.get_args(parameter.annotation)[:2]
        if isinstance(info, ArgumentInfo):
            arguments.append(_spelled(parameter, info))
        spelled = _spelled(parameter, info).replace("|", "\\|")
        rows.append(f"| `{spelled}` | {_help(parameter, kind, info)} |")
    yield f"## `seedtune {' '.join([name, *arguments])}`"
    yield ""
    yield about.strip()
    yield ""
    if examples.strip():
        yield "```"
        yield from (line.strip() for line in examples.splitlines() if line.strip())
        yield "```"
        yield ""
    yield "| | |"
    yield "|---|---|"
    yield from rows


def _spelled(parameter: inspect.Parameter, info: ArgumentInfo | OptionInfo) -> str:
    if isinstance(info, ArgumentInfo):
        return str(info.metavar or parameter.name.upper())
    # typer takes the first spelling of an annotated option for its default.
    first = [info.default] if isinstance(info.default, str) and info.default.startswith("-") else []
    return " / ".join([*first, *(info.param_decls or ())] or ["--" + parameter.name.replace("_", "-")])


def _help(parameter: inspect.Parameter, kind: object, info: ArgumentInfo | OptionInfo) -> str:
    text = " ".join((info.help or "").split())
    # The kind of an option that may be left out is a union with None.
    for member in (kind, *typing.get_args(kind)):
        if typing.get_origin(member) is Literal:
            text += f" One of {', '.join(f'`{choice}`' for choice in typing.get_args(member))}."
    if parameter.default is parameter.empty:
        text += " Required."
    elif parameter.default is not None and not isinstance(parameter.default, bool) and "default" not in text.lower():
        text += f" [default: {parameter.default}]"
    return text.replace("|", "\\|").strip()


def python_page() -> str:
    """Every name of `seedtune.__all__`."""
    lines = ["# The Python interface", "", NOTE, "", inspect.cleandoc(seedtune.__doc__ or "").splitlines()[0], ""]
    for name in seedtune.__all__:
        lines += [*_entry(name, getattr(seedtune, name)), ""]
    return "\n".join(lines).rstrip() + "\n"


def _entry(name: str, value: object) -> Iterator[str]:
    yield f"### `{name}`"
    yield ""
    if isinstance(value, str):
        yield "The version of the package."
    elif isinstance(value, ModuleType):
        yield from _described(value)
        for inner in value.__all__:
            yield f"#### `{name}.{inner}`"
            yield ""
            yield from _type(getattr(value, inner))
    elif inspect.isclass(value):
        yield from _type(value)
        for member, function in inspect.getmembers(value):
            if not member.startswith("_") and (inspect.isfunction(function) or isinstance(function, property)):
                yield f"#### `{name}.{member}{_signature(function)}`"
                yield ""
                yield from _described(function)
    else:
        yield f"`seedtune.{name}{_signature(value)}`"
        yield ""
        yield from _described(value)


def _type(value: object) -> Iterator[str]:
    if not inspect.isclass(value):
        yield "One of " + ", ".join(f"`{member.__name__}`" for member in typing.get_args(value)) + "."
        yield ""
        return
    yield from _described(value)
    fields: list[str] = []
    if dataclasses.is_dataclass(value):
        fields = [f"{field.name}: {field.type}" for field in dataclasses.fields(value)]
    elif issubclass(value, msgspec.Struct):
        annotations = inspect.get_annotations(value)
        fields = [f"{field}: {_plain_type(annotations[field])}" for field in value.__struct_fields__]
    if fields:
        yield "```"
        yield from fields
        yield "```"
        yield ""


def _plain_type(annotation: object) -> str:
    text = str(annotation)
    found = re.match(r"Annotated\[\s*([\w.]+)", text)
    return found[1] if found else text


def _signature(value: object) -> str:
    if isinstance(value, property):
        return ""
    signature = inspect.signature(typing.cast("typing.Callable[..., object]", value))
    kept = [parameter for name, parameter in signature.parameters.items() if name != "self"]
    # A default that is a function has an address in its text.
    kept = [
        each.replace(default="...") if callable(each.default) and each.default is not each.empty else each
        for each in kept
    ]
    return re.sub(r"'", "", str(signature.replace(parameters=kept)))


def _described(value: object) -> Iterator[str]:
    """The docstring as text, its sections as a block that keeps its lines."""
    text = inspect.cleandoc(inspect.getdoc(value) or "")
    about, mark, sections = text.partition("\n\nArgs:")
    if not mark:
        about, mark, sections = text.partition("\n\nRaises:")
    if not mark:
        about, mark, sections = text.partition("\n\nAttributes:")
    yield re.sub(r":\w+:`~?([^`]*)`", r"`\1`", about)
    yield ""
    if mark:
        yield "```text"
        yield mark.strip() + sections
        yield "```"
        yield ""
