"""``seedtune journal``: what stands in journals, whether it holds, and what several of them make together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console

from seedtune.runtime.cli.options import JsonOption, print_json
from seedtune.runtime.errors import EXIT_CODE, SeedTuneError
from seedtune.runtime.files import require_writable, write_durably
from seedtune.runtime.journal.comparing import difference
from seedtune.runtime.journal.file import read_journal
from seedtune.runtime.model.combining import added, averaged
from seedtune.runtime.model.replaying import journal_path, kept_steps, open_recorded
from seedtune.runtime.model.state_file import MadeOf, write_state
from seedtune.runtime.model.verifying import verify

journal_app = typer.Typer(
    name="journal",
    help="What stands in journals, whether it holds, and what several of them make together.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)

Source = Annotated[Path, typer.Argument(metavar="RUN|JOURNAL", help="A RUN folder, or a journal.")]
Sources = Annotated[list[Path], typer.Argument(metavar="RUN|JOURNAL...", help="RUN folders, or journals.")]
StateOut = Annotated[Path, typer.Option(help="The file to write, a safetensors file.")]
BundleOption = Annotated[Path | None, typer.Option(help="The bundle that they were written over.")]


def _say(text: str) -> None:
    Console(stderr=True).print(text, highlight=False, soft_wrap=True, markup=False)


@journal_app.command("show")
def show_command(
    source: Source,
    steps: Annotated[int, typer.Option(min=0, help="Also print so many steps, the last ones.")] = 0,
    json: JsonOption = False,
) -> None:
    """Say what a journal is of, and how far it goes.

    Examples:

        seedtune journal show run

        seedtune journal show journal.bin --steps 5
    """
    path = journal_path(source)
    journal = read_journal(path)
    header = msgspec.structs.asdict(journal.header)
    for name, value in header.items():
        if name != "settings" and value is not None:
            print(f"{name}: {value}")
    for name, value in header["settings"].items():
        print(f"settings.{name}: {value}")
    print(f"steps: {journal.steps}")
    if journal.torn_bytes:
        print(f"torn: {journal.torn_bytes} bytes of a step that was cut short")
    for step in range(max(0, journal.steps - steps), journal.steps):
        print(f"step {step + 1}: {'; '.join(_numbers(record) for record in journal.of_step(step))}")
    if json:
        print_json({"journal": str(path), "steps": journal.steps, "torn_bytes": journal.torn_bytes, **header})


@journal_app.command("verify")
def verify_command(
    source: Source,
    bundle: Annotated[
        Path | None, typer.Option(help="Also replay it over this bundle; a RUN folder says where its is.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Check a journal: its checksums, and with its bundle that a replay gives what the run told at its end.

    Examples:

        seedtune journal verify run

        seedtune journal verify journal.bin --bundle bundle
    """
    found = verify(source, bundle)
    for line in found.checked:
        print(line)
    if json:
        print_json({"journal": str(found.path), "steps": found.steps, "state_sha256": found.state_sha256})


@journal_app.command("diff")
def diff_command(one: Source, other: Source, json: JsonOption = False) -> None:
    """Say where two journals part; exit code 2 if they do.

    Examples:

        seedtune journal diff run other-run
    """
    found = difference(*(read_journal(journal_path(path)) for path in (one, other)))
    for name, (first, second) in found.fields.items():
        print(f"{name}: {first} | {second}")
    print(f"steps: {found.steps[0]} | {found.steps[1]}")
    shared = min(found.steps)
    print(
        f"the first {shared} steps are the same"
        if found.first_step is None
        else f"they part at step {found.first_step}"
    )
    if json:
        print_json({"same": found.same, "first_step": found.first_step, "steps": found.steps, "fields": found.fields})
    if not found.same:
        raise typer.Exit(EXIT_CODE)


@journal_app.command("compact")
def compact_command(
    source: Source,
    out: Annotated[Path, typer.Option(help="The journal to write.")],
    until: Annotated[
        int | None, typer.Option(min=0, help="So many steps. [default: those of a run's best state; all of a journal]")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Write a journal without the steps that nobody needs: those behind the best state, and what a kill has torn.

    The steps that stay are the same bytes, and make the same state.

    Examples:

        seedtune journal compact run --out small.bin
    """
    path = journal_path(source)
    journal = read_journal(path)
    steps = kept_steps(source, journal) if until is None else until
    if steps > journal.steps:
        raise SeedTuneError(
            "the journal has no such step",
            file=path,
            value=steps,
            rule=f"0 to {journal.steps}",
            remedy="choose another",
        )
    if out.exists():
        raise SeedTuneError("there is a file already", file=out, rule="a new file", remedy="choose another name")
    require_writable(out)
    kept = journal.until(steps)
    write_durably(out, path.read_bytes()[: kept.whole_bytes])
    _say(f"{out}: {kept.steps:,} of {journal.steps:,} steps, {kept.whole_bytes:,} bytes")
    if json:
        print_json({"journal": str(out), "steps": kept.steps, "size_bytes": kept.whole_bytes})


@journal_app.command("concat")
def concat_command(sources: Sources, out: StateOut, bundle: BundleOption = None, json: JsonOption = False) -> None:
    """Write the state of the steps of several runs, as if they had been taken one after another, in any order.

    The runs have one bundle and one start: a run's head starts from its own rows unless it is told `--start zero`.

    Examples:

        seedtune journal concat run-a run-b --out state.safetensors
    """
    _combine(sources, out, bundle, json, "sum", None)


@journal_app.command("average")
def average_command(
    sources: Sources,
    out: StateOut,
    bundle: BundleOption = None,
    weights: Annotated[str | None, typer.Option(help="A number for each, such as 300,100: rows that it saw.")] = None,
    json: JsonOption = False,
) -> None:
    """Write the mean of the states of several runs from one bundle, whatever the order in which they are named.

    Examples:

        seedtune journal average run-a run-b run-c --out state.safetensors

        seedtune journal average run-a run-b --weights 300,100 --out state.safetensors
    """
    _combine(sources, out, bundle, json, "mean", weights)


def _combine(sources: list[Path], out: Path, bundle: Path | None, json: bool, how: str, weights: str | None) -> None:
    require_writable(out)
    shares = None if weights is None else _shares(weights)
    runs = [open_recorded(path, bundle) for path in sources]
    first = runs[0].bundle
    other = next((run for run in runs if run.bundle.sha256 != first.sha256), None)
    if other is not None:
        raise SeedTuneError(
            "the runs have different bundles, so their states mean different things",
            file=other.bundle.path,
            value=other.bundle.sha256,
            rule=f"{first.sha256}, that of {first.path}",
            remedy="combine runs of one bundle",
        )
    state = added(runs) if how == "sum" else averaged(runs, shares)
    steps = sum(run.step for run in runs)
    write_state(out, first, state, MadeOf(steps, f"{how} of {len(runs)} runs"))
    _say(f"{out}: the {how} of {len(runs)} states, of {steps:,} steps in all")
    if json:
        print_json({"state": str(out), "runs": len(runs), "steps": steps, "state_sha256": state.sha256()})


def _shares(weights: str) -> list[float]:
    try:
        return [float(part) for part in weights.split(",")]
    except ValueError as error:
        raise SeedTuneError(
            "the weights are no numbers", value=weights, rule="numbers with commas between", remedy="such as 300,100"
        ) from error


def _numbers(record: Any) -> str:
    named = {name: record[name] for name in record.dtype.names if name != "checksum"}
    return ", ".join(
        f"{name} {bytes(value).hex() if name == 'state_sha256' else ' '.join(f'{x:.6g}' for x in value.ravel())}"
        for name, value in named.items()
    )
