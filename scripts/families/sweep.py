"""Tries architectures in processes of their own, a few at once: what one leaves behind, or dies of, stays with it."""

from __future__ import annotations

import multiprocessing
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch

from families.architectures import Architecture
from families.outcomes import Outcome
from families.trial import try_architecture
from seedtune.exporter.checkpoint.quiet import quiet
from seedtune.runtime.bundle.manifest import Storage
from seedtune.runtime.task.structure import Scope

# Several times what the slowest one takes.
LIMIT_SECONDS = 600.0
Trial = Callable[[Architecture, Path, Sequence[Scope], Sequence[Storage]], Outcome]


@dataclass
class Running:
    """A trial at work."""

    architecture: Architecture
    process: BaseProcess
    pipe: Connection
    ends: float


def sweep(
    architectures: Sequence[Architecture],
    scopes: Sequence[Scope],
    storages: Sequence[Storage],
    processes: int,
    limit_seconds: float = LIMIT_SECONDS,
    trial: Trial = try_architecture,
) -> Iterator[Outcome]:
    """The outcome of each of ``architectures``, in the order in which they end.

    Args:
        architectures: what to try.
        scopes: that each is exported in.
        storages: that each is exported in.
        processes: at once; each has one thread.
        limit_seconds: after which a trial is a crash.
        trial: what is done; runs in a forked process.
    """
    # Forked, since importing torch and transformers takes longer than most trials.
    context = multiprocessing.get_context("fork")
    waiting, running = list(architectures), list[Running]()
    try:
        while waiting or running:
            while waiting and len(running) < processes:
                ours, theirs = context.Pipe(duplex=False)
                process = context.Process(target=_work, args=(trial, waiting[0], scopes, storages, theirs))
                process.start()
                theirs.close()
                running.append(Running(waiting.pop(0), process, ours, time.monotonic() + limit_seconds))
            wait([one.pipe for one in running], timeout=max(0.1, min(one.ends for one in running) - time.monotonic()))
            for one in list(running):
                if one.pipe.poll() or time.monotonic() > one.ends:
                    found = _end(one, limit_seconds)
                    found.scopes = list(scopes)
                    yield found
                    running.remove(one)
    finally:
        for one in running:
            one.process.kill()


def _work(
    trial: Trial, architecture: Architecture, scopes: Sequence[Scope], storages: Sequence[Storage], pipe: Connection
) -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    with quiet(), tempfile.TemporaryDirectory(prefix="seedtune-families-") as folder:
        pipe.send(trial(architecture, Path(folder), scopes, storages))


def _end(one: Running, limit_seconds: float) -> Outcome:
    try:
        # A process that died closes its end of the pipe without a word.
        found: Outcome = one.pipe.recv() if one.pipe.poll() else _crash(one, f"no end after {limit_seconds:.0f} s")
    except EOFError:
        one.process.join()
        found = _crash(one, f"the process ended with code {one.process.exitcode}")
    one.process.join(timeout=5)
    one.process.kill()
    one.pipe.close()
    return found


def _crash(one: Running, reason: str) -> Outcome:
    return Outcome(one.architecture.key, one.architecture.name, "crash", reason)
