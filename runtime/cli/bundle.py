"""``seedtune bundle``: who made a bundle, and whether it is whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from seedtune.runtime.bundle.graph_file import require_harmless
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.bundle.signing import make_keys, sign, verify_signature
from seedtune.runtime.cli.options import JsonOption, print_json

bundle_app = typer.Typer(
    name="bundle",
    help="Who made a bundle, and whether it is whole.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)

BundleArgument = Annotated[Path, typer.Argument(help="A bundle.", show_default=False)]


def _say(text: str) -> None:
    Console(stderr=True).print(text, highlight=False, soft_wrap=True, markup=False)


@bundle_app.command("keys")
def keys_command(
    out: Annotated[Path, typer.Option(help="The private key to write; the public one lies beside it, ending in .pub.")],
    json: JsonOption = False,
) -> None:
    """Make a pair of keys to sign bundles with.

    Examples:

        seedtune bundle keys --out me.key
    """
    found = make_keys(out)
    _say(f"{out}: keep it to yourself. {out}.pub: give it to others, who compare {found}")
    if json:
        print_json({"private_key": str(out), "public_key": f"{out}.pub", "fingerprint": found})


@bundle_app.command("sign")
def sign_command(
    bundle: BundleArgument,
    key: Annotated[Path, typer.Option(help="The private key.")],
    json: JsonOption = False,
) -> None:
    """Sign a bundle: whoever has your public key can tell that it came from you, and is as you made it.

    Examples:

        seedtune bundle sign bundle --key me.key
    """
    opened = Bundle.open(bundle)
    found = sign(opened, key)
    _say(f"{bundle}: signed with {found}")
    if json:
        print_json({"bundle": str(bundle), "bundle_sha256": opened.sha256, "fingerprint": found})


@bundle_app.command("verify")
def verify_command(
    bundle: BundleArgument,
    key: Annotated[
        Path | None,
        typer.Option(help="The public key of whoever should have signed it. Without, no signature is asked."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Check every file of a bundle against its manifest, its graphs for what no bundle needs, and its signature.

    Examples:

        seedtune bundle verify bundle

        seedtune bundle verify bundle --key them.pub
    """
    opened = Bundle.open(bundle)
    graphs = sorted(name for name in opened.manifest.files if name.endswith(".onnx") and (bundle / name).exists())
    for name in graphs:
        require_harmless(bundle / name)
    print(
        f"{len(opened.manifest.files)} files are those of the manifest, {len(graphs)} graphs have known operators only"
    )
    found = verify_signature(opened, key) if key is not None else None
    if found:
        print(f"signed with {found}")
    if json:
        print_json({"bundle": str(bundle), "bundle_sha256": opened.sha256, "graphs": len(graphs), "fingerprint": found})
