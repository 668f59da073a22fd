"""python scripts/reference_checkpoint opt-1.3b OUT: a checkpoint of a model's full size, random from a seed.

The folder has the files, formats, names, types and sizes that the Hugging Face hub serves for the model, and a
tokenizer of the same kind and ids; only the values are made up. `seedtune export` treats it like the hub's. It is
written tensor by tensor: memory does not grow with the model.

Examples:
    python scripts/reference_checkpoint roberta-large checkpoints/roberta-large
    python scripts/reference_checkpoint opt-6.7b checkpoints/opt-6.7b --seed 7
    python scripts/reference_checkpoint opt-1.3b small --layers 2 --json
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from reference_checkpoint.architectures import ARCHITECTURES, Architecture
from reference_checkpoint.tokenizer_files import write_tokenizer
from reference_checkpoint.weight_files import Advance, size_bytes, write_weights
from seedtune.exporter.storage.destination import require_space, staged
from seedtune.runtime.errors import SeedTuneError


def main(arguments: list[str] | None = None) -> None:
    """Makes the folder that the command line asks for."""
    started = time.monotonic()
    options = _parser().parse_args(arguments)
    console = Console(stderr=True)
    architecture = ARCHITECTURES[options.name]
    if options.layers is not None:
        architecture = architecture.with_layers(options.layers)
    if options.shard_bytes is not None:
        architecture = replace(architecture, shard_bytes=options.shard_bytes)
    try:
        with _progress(console) as progress:
            task = progress.add_task(options.name, total=weight_bytes(architecture))
            sizes = make(architecture, options.out, options.seed, lambda count: progress.advance(task, count))
    except SeedTuneError as error:
        console.print(f"error: {error}", markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)
    seconds = time.monotonic() - started
    for name, size in sizes.items():
        console.print(f"{size:>16,} bytes  {name}", highlight=False, soft_wrap=True)
    console.print(
        f"{options.out}: {architecture.config['architectures'][0]} as {architecture.hub_id}, "
        f"{architecture.parameters():,} parameters, {architecture.dtype}, seed {options.seed}, {seconds:.1f} s",
        highlight=False,
        soft_wrap=True,
    )
    if options.json:
        result = {"name": options.name, "out": str(options.out), "parameters": architecture.parameters()}
        print(json.dumps(result | {"files_bytes": sizes, "seed": options.seed, "seconds": seconds}))


def make(architecture: Architecture, out: Path, seed: int, advance: Advance = lambda _bytes: None) -> dict[str, int]:
    """Writes the folder ``out``, under a temporary name until it is whole.

    Args:
        architecture: see `architectures.py`.
        out: must not exist.
        seed: everything random follows from it.
        advance: called with the bytes of weights written since the last call.

    Returns:
        The size in bytes of every file by its name.

    Raises:
        SeedTuneError: ``out`` exists, or the disk has too little room or cannot be written.
    """
    if out.exists() or out.is_symlink():
        raise SeedTuneError(
            "the output folder already exists", file=out, rule="a new folder", remedy="choose another, or delete it"
        )
    with staged(out) as staging:
        try:
            require_space(out.parent, weight_bytes(architecture))
            (staging / "config.json").write_text(json.dumps(architecture.config, indent=2) + "\n")
            write_tokenizer(staging, architecture.config["model_type"])
            write_weights(staging, architecture, seed, advance)
            sizes = {file.name: file.stat().st_size for file in sorted(staging.iterdir())}
            staging.chmod(0o755)
            staging.rename(out)
        except OSError as error:
            raise SeedTuneError(
                f"the checkpoint cannot be written ({error.strerror or error})",
                file=error.filename or out,
                remedy="free space or choose another folder",
            ) from error
    return sizes


def weight_bytes(architecture: Architecture) -> int:
    """Bytes of all values that will be written."""
    return sum(size_bytes(stored, architecture.dtype) for stored in architecture.tensors())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python scripts/reference_checkpoint",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", choices=ARCHITECTURES, metavar="NAME", help=f"one of {', '.join(ARCHITECTURES)}")
    parser.add_argument("out", type=Path, metavar="OUT", help="the folder to make")
    parser.add_argument("--seed", type=int, default=0, help="of all weights (default 0)")
    parser.add_argument("--layers", type=_positive, help="a smaller model of as many layers")
    parser.add_argument("--shard-bytes", type=_positive, help="the most that one .bin holds (default 10^10)")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} < 1")
    return value


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    return Progress(*columns, TimeRemainingColumn(), console=console, transient=True)


if __name__ == "__main__":
    main()
