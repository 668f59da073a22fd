"""The half of ``seedtune export`` that is about features: which options belong to it, and what it says at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

import seedtune
from seedtune.runtime.bundle.heads import Form
from seedtune.runtime.bundle.zipped import write_zip
from seedtune.runtime.errors import SeedTuneError

ObjectiveOption = Annotated[
    Literal["contrastive", "heads"] | None,
    typer.Option(
        help="Instead of --task: SOURCE is a file of features, and heads over them learn by this: contrastive "
        "embeddings, or heads of robust and non-robust features.",
        show_default=False,
    ),
]
FormOption = Annotated[
    Form, typer.Option(help="With --objective: what is trained, a whole matrix, a change of --rank, or column factors.")
]
TemperatureOption = Annotated[float, typer.Option(help="Contrastive: what cosines are divided by; 0.03 to 100.")]
NegativesOption = Annotated[int, typer.Option(min=1, help="Contrastive: rows of a step that are pushed away.")]
CollisionOption = Annotated[
    bool,
    typer.Option(
        "--collision-fix/--no-collision-fix", help="Contrastive: negatives that are like the anchor weigh less."
    ),
]
ImbalanceOption = Annotated[
    bool,
    typer.Option("--imbalance-fix/--no-imbalance-fix", help="Contrastive: negatives are drawn cluster by cluster."),
]
NeighboursOption = Annotated[
    int, typer.Option(min=1, help="Contrastive: positives of a row, where the features bring none.")
]
ClustersOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Contrastive: clusters, where the features bring none. Default: as many as classes.",
        show_default=False,
    ),
]
AdversarialWeightOption = Annotated[
    float, typer.Option(min=0, help="Heads: weight of what the robust head says of adversarial rows.")
]
TargetWeightOption = Annotated[
    float, typer.Option(min=0, help="Heads: weight of what the non-robust head says of adversarial rows.")
]
# Of `seedtune export`: those that only features have, and those that both have.
OF_HEADS = (
    "form",
    "temperature",
    "negatives",
    "collision_fix",
    "imbalance_fix",
    "neighbours",
    "clusters",
    "adversarial_weight",
    "target_weight",
)
OF_BOTH = ("source", "out", "objective", "rank", "adapter_seed", "zip_too", "overwrite", "json")


def given_options(context: typer.Context) -> dict[str, Any]:
    """The options of the command line that somebody has written, by name.

    Raises:
        SeedTuneError: one of them belongs to a task where there is an objective, or the other way round.
    """
    given = {
        name: value
        for name, value in context.params.items()
        if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
    }
    has_objective = given.get("objective") is not None
    foreign = [name for name in given if name not in OF_BOTH and (name in OF_HEADS) != has_objective]
    if foreign:
        flags = ", ".join("--" + name.replace("_", "-") for name in foreign)
        raise SeedTuneError(
            f"{'an objective over features' if has_objective else 'a task'} has no such option",
            value=flags,
            rule="--objective with features, or --task with a checkpoint",
            remedy=f"leave {flags} out",
        )
    return given


def export_features(
    given: Mapping[str, Any], source: str, out: Path, phase: Callable[[str], None], console: Console
) -> dict[str, Any]:
    """Exports and says so; returns the fields of ``--json``.

    Args:
        given: by :func:`given_options`.
        source: of the features.
        out: the new folder.
        phase: told what begins.
        console: for people.
    """
    started = time.monotonic()
    options = {name: given[name] for name in (*OF_HEADS, "rank", "adapter_seed", "overwrite") if name in given}
    manifest = seedtune.export(
        source,
        objective=given["objective"],
        out=out,
        phase=phase,
        notice=lambda text: console.print(text, markup=False, highlight=False, soft_wrap=True),
        **options,
    )
    seconds, size_bytes = time.monotonic() - started, sum(entry.size_bytes for entry in manifest.files.values())
    console.print(
        f"{out}: {manifest.objective.summary}, {manifest.state.parameters:,} trainable, {size_bytes / 1e6:,.1f} MB, "
        f"{seconds:.1f} s",
        highlight=False,
        soft_wrap=True,
    )
    zipped = out.with_name(f"{out.name}.zip") if given.get("zip_too") else None
    zip_bytes = write_zip(out, zipped) if zipped else None
    return {
        "bundle": str(out),
        "objective": given["objective"],
        "state_parameters": manifest.state.parameters,
        "targets": len(manifest.state.targets),
        "size_bytes": size_bytes,
        "zip": str(zipped) if zipped else None,
        "zip_bytes": zip_bytes,
        "seconds": seconds,
    }
