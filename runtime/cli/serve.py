"""``seedtune serve``: a bundle or a run behind HTTP."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

import seedtune
from seedtune.runtime.bundle.objective import DECODE
from seedtune.runtime.cli.options import BundleOption, ModelArgument, StateOption, StepOption, ThreadsOption
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.extras import import_extra

LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def serve_command(
    model: ModelArgument,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where to listen.")] = 8000,
    host: Annotated[
        str, typer.Option(help="The address to listen at; others than this machine reach it only if told so.")
    ] = "127.0.0.1",
    name: Annotated[str | None, typer.Option(help="What the model calls itself. [default: the folder's name]")] = None,
    bundle: BundleOption = None,
    step: StepOption = None,
    state: StateOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Answer HTTP requests in the form of OpenAI's API, on this machine only unless told otherwise.

    `/v1/completions` goes on with a text as it is, `/v1/chat/completions` with a conversation by the model's own chat
    template, `/v1/classify` gives the labels of the task; `/v1/models` names the model. Nobody is asked who they are:
    whoever reaches the port may ask.

    Examples:

        seedtune serve run

        curl http://127.0.0.1:8000/v1/classify -d '{"input": "A film well worth seeing."}'

        seedtune serve run --port 8080 --name reviews
    """
    uvicorn = import_extra("uvicorn", "serve", "the server")
    import_extra("starlette.applications", "serve", "the server")
    from seedtune.runtime.server.app import Server

    console = Console(stderr=True)
    with seedtune.open(model, bundle=bundle, step=step, state=state, threads=threads) as opened:
        objective = opened.bundle.manifest.language_model
        if objective.decode is None and not objective.task.labels:
            opened.bundle.require_graph(DECODE)
        if host not in LOOPBACK:
            console.print(f"listening at {host}: whoever reaches this machine can ask the model", highlight=False)
        server = Server(opened, name or model.absolute().name)
        console.print(f"http://{host}:{port}/v1 answers; Ctrl-C ends it", highlight=False, soft_wrap=True)
        try:
            uvicorn.run(server.app, host=host, port=port, log_level="warning", access_log=False)
        except SystemExit as error:
            # uvicorn has said why on standard error, and ends the process.
            raise SeedTuneError(
                "the server cannot listen there",
                value=f"{host}:{port}",
                rule="an address of this machine and a port that is free",
                remedy="choose another --port",
            ) from error
