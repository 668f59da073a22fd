"""``seedtune export``: a checkpoint becomes a bundle."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

import seedtune
from seedtune.runtime.bundle.manifest import Storage
from seedtune.runtime.bundle.objective import ContextStorage
from seedtune.runtime.bundle.zipped import write_zip
from seedtune.runtime.cli.export_heads import (
    AdversarialWeightOption,
    ClustersOption,
    CollisionOption,
    FormOption,
    ImbalanceOption,
    NegativesOption,
    NeighboursOption,
    ObjectiveOption,
    TargetWeightOption,
    TemperatureOption,
    export_features,
    given_options,
)
from seedtune.runtime.cli.options import JsonOption, print_json
from seedtune.runtime.task.structure import Scope


def export_command(
    context: typer.Context,
    source: Annotated[
        str,
        typer.Argument(help="Embedded name, folder, GGUF file or hub id; or a file of features.", show_default=False),
    ],
    out: Annotated[Path, typer.Option(help="The bundle folder to make.")],
    task: Annotated[
        str | None,
        typer.Option(
            help="A built-in task (such as `sentiment`; `chat` for answers to messages) or a TOML file.",
            show_default=False,
        ),
    ] = None,
    objective: ObjectiveOption = None,
    storage: Annotated[Storage, typer.Option(help="How matrices are stored.")] = "fp32",
    targets: Annotated[
        str,
        typer.Option(help="Presets (default, attention, mlp, all), roles (query, up, ...) or patterns, with commas."),
    ] = "default",
    rank: Annotated[int, typer.Option(min=1, max=256, help="Rank of the trainable state.")] = 8,
    adapter_seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of every fixed A.")] = 0,
    scope: Annotated[
        Scope | None,
        typer.Option(
            help="Where the state acts: at the suffix of a row (the template's end, the mask), or at the last of its "
            "tokens (the mask), so that the keys and values of its text are computed once; or at all tokens. Default: "
            "last, and suffix for completion tasks, where the model allows it.",
            show_default=False,
        ),
    ] = None,
    layers: Annotated[
        int | None,
        typer.Option(
            help="Layers from the top in which the state acts; what enters them is computed once a row. Default: all; "
            "the top half if --scope is left out too.",
            show_default=False,
        ),
    ] = None,
    context_storage: Annotated[
        ContextStorage, typer.Option(help="How cached keys and values are stored (scope suffix).")
    ] = "fp16",
    context_on_host: Annotated[
        bool,
        typer.Option(
            "--context-on-host",
            help="Keep what only contexts are computed with in files of their own: a phone that is given a cache "
            "(`seedtune cache`) needs none of them.",
        ),
    ] = False,
    decode: Annotated[
        bool | None,
        typer.Option(
            "--decode/--no-decode",
            help="Make the graph that `seedtune generate` runs, of a causal model. Default: for completion tasks.",
        ),
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check/--no-check", help="Compare with transformers before the bundle is put in place."),
    ] = True,
    zip_too: Annotated[
        bool,
        typer.Option("--zip", help="Also write OUT.zip: what a phone needs of the bundle, as one file for the app."),
    ] = False,
    form: FormOption = "full",
    temperature: TemperatureOption = 1.0,
    negatives: NegativesOption = 256,
    collision_fix: CollisionOption = True,
    imbalance_fix: ImbalanceOption = True,
    neighbours: NeighboursOption = 10,
    clusters: ClustersOption = None,
    adversarial_weight: AdversarialWeightOption = 1.0,
    target_weight: TargetWeightOption = 1.0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing bundle.")] = False,
    json: JsonOption = False,
) -> None:
    """Turn a checkpoint into a bundle: graphs, one weights file, tokenizer, manifest.

    SOURCE is the embedded model `smollm2-135m-instruct`, a checkpoint folder, a GGUF file, or a Hugging Face hub id.
    With --objective it is a file of features (.npz, .parquet), or a folder that holds features.npz.

    Examples:

        seedtune export smollm2-135m-instruct --task sentiment --out bundle

        seedtune export ./roberta-large --task my-task.toml --out bundle --storage fp16 --targets attention --rank 4

        seedtune export model.gguf --task sentiment --out bundle --targets "*.layers.1?.mlp.down_proj,query"

        seedtune export smollm2-135m-instruct --task sentiment --out bundle --scope last --layers 10 --context-on-host

        seedtune export smollm2-135m-instruct --task sentiment --out sentiment --storage int8 --zip

        seedtune export features.npz --objective contrastive --out bundle
    """
    given = given_options(context)
    started = time.monotonic()
    console = Console(stderr=True)
    with console.status("loading libraries", spinner="dots") as status:

        def phase(name: str) -> None:
            status.update(name)
            if not console.is_terminal:
                console.print(f"{time.monotonic() - started:5.1f} s  {name}", highlight=False)

        if objective is not None:
            made = export_features(given, source, out.expanduser(), phase, console)
            if json:
                print_json(made)
            return
        manifest = seedtune.export(
            source,
            task=task,
            out=out,
            storage=storage,
            targets=targets,
            rank=rank,
            adapter_seed=adapter_seed,
            scope=scope,
            layers=layers,
            context_storage=context_storage,
            context_on_host=context_on_host,
            decode=decode,
            check=check,
            overwrite=overwrite,
            phase=phase,
            notice=lambda text: console.print(text, markup=False, highlight=False, soft_wrap=True),
        )
    out = out.expanduser()
    seconds, model = time.monotonic() - started, manifest.language_model
    total_bytes = sum(entry.size_bytes for entry in manifest.files.values())
    in_layers = f" in {model.context.layers} layers" if model.context else ""
    console.print(
        f"{out}: {model.model.architecture}, {model.model.parameters:,} parameters, "
        f"{len(manifest.state.targets)} targets, {manifest.state.parameters:,} trainable, "
        f"scope {model.scope}{in_layers}, {total_bytes / 1e6:,.0f} MB, {seconds:.1f} s",
        highlight=False,
        soft_wrap=True,
    )
    if manifest.host_files:
        console.print(
            f"a phone must hold {manifest.phone_bytes / 1e6:,.0f} MB; {manifest.host_bytes / 1e6:,.0f} MB are for the "
            f"desk only: {', '.join(manifest.host_files)}",
            highlight=False,
            soft_wrap=True,
        )
    if manifest.check:
        console.print(
            f"agrees with transformers: log-probabilities within {manifest.check.log_probability_error:.1e}, "
            f"perturbed losses within {manifest.check.perturbed_loss_error:.1e}",
            highlight=False,
            soft_wrap=True,
        )
    zipped = out.with_name(f"{out.name}.zip") if zip_too else None
    zip_bytes = write_zip(out, zipped) if zipped else None
    if zip_bytes:
        console.print(f"{zipped}: {zip_bytes / 1e6:,.0f} MB, for the phone", highlight=False, soft_wrap=True)
    if json:
        result = manifest.check
        print_json(
            {
                "bundle": str(out),
                "architecture": model.model.architecture,
                "parameters": model.model.parameters,
                "state_parameters": manifest.state.parameters,
                "targets": len(manifest.state.targets),
                "scope": model.scope,
                "generates": model.decode is not None,
                "layers": model.context.layers if model.context else None,
                "context_bytes_per_token": model.context.bytes_per_token if model.context else None,
                "size_bytes": total_bytes,
                "phone_bytes": manifest.phone_bytes,
                "host_bytes": manifest.host_bytes,
                "zip": str(zipped) if zipped else None,
                "zip_bytes": zip_bytes,
                "seconds": seconds,
                "checked": result is not None,
                "log_probability_error": result.log_probability_error if result else None,
                "perturbed_loss_error": result.perturbed_loss_error if result else None,
            }
        )
