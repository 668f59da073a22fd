"""Reads mutated inputs of one target, one after the other, and says a line of JSON about each."""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import resource
import signal
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

from fuzz.catalogue import target_class
from fuzz.corpus import Corpus
from fuzz.target import Target, WrongError
from seedtune.runtime.errors import SeedTuneError

LIMIT_SECONDS = 2.0
LIMIT_BYTES = 200_000_000


class _LateError(BaseException):
    """Raised by the alarm; not an Exception, so that no reader takes it for one of its own."""


def _alarm(_number: int, _frame: object) -> None:
    raise _LateError


def limit_memory(limit_bytes: int = LIMIT_BYTES) -> None:
    """From now on this process may take ``limit_bytes`` more of memory of its own."""
    status = Path("/proc/self/status").read_text().splitlines()
    held = next(int(line.split()[1]) << 10 for line in status if line.startswith("VmData"))
    resource.setrlimit(resource.RLIMIT_DATA, (held + limit_bytes, resource.RLIM_INFINITY))


def attempt(target: Target, seed: int) -> dict[str, Any]:
    """Reads input ``seed`` of ``target``; a slow reading is tried once more, as other processes may have been busy."""
    found = _attempt(target, seed)
    return _attempt(target, seed) if found["verdict"] == "hang" else found


def _attempt(target: Target, seed: int) -> dict[str, Any]:
    files = target.mutated_by(seed)
    verdict, text = "accepted", ""
    target.said = None
    with target.placed(files):
        started = time.perf_counter()
        signal.setitimer(signal.ITIMER_REAL, LIMIT_SECONDS)
        try:
            target.read()
        except SeedTuneError as error:
            text = str(error)
            verdict = unclear(error, target) or "refused"
        except WrongError as error:
            verdict, text = "wrong", str(error)
        except _LateError:
            verdict, text = "hang", traceback.format_exc()
        except MemoryError:
            verdict, text = "memory", traceback.format_exc()
        except BaseException:  # noqa: BLE001 - whatever else escapes is what is looked for
            verdict, text = "traceback", traceback.format_exc()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        seconds = time.perf_counter() - started
    if seconds > LIMIT_SECONDS:
        verdict = "hang"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    return {"seed": seed, "verdict": verdict, "ms": round(1000 * seconds, 1), "peak_bytes": peak, "text": text[-4000:]}


def unclear(error: SeedTuneError, target: Target) -> str | None:
    """What is missing of a clear error: its file, its remedy, or that memory had not run out before."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError) or "can't allocate memory" in str(cause):
            return "memory"
        cause = cause.__cause__ or cause.__context__
    named = str(target.folder) in str(error)
    return None if named and error.remedy else "unclear"


def instance_of(name: str, folder: Path) -> Target:
    """The target ``name``, which has read its whole input in ``folder``; from now on this process has limits."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    folder.mkdir(exist_ok=True)
    target = target_class(name)(folder)
    # The second time tells what stays of the first.
    for _ in range(2):
        with target.placed(target.whole):
            target.read()
    gc.collect()
    limit_memory()
    signal.signal(signal.SIGALRM, _alarm)
    return target


def main() -> None:
    """Says that it is ready, then reads inputs FIRST to FIRST + COUNT - 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target")
    parser.add_argument("first", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--corpus", type=Path)
    options = parser.parse_args()
    # What libraries write to standard output must not come between the lines.
    lines = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    target = instance_of(options.target, options.folder)
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    corpus = Corpus(options.corpus, target) if options.corpus else None
    lines.write("{}\n")
    for seed in range(options.first, options.first + options.count):
        found = attempt(target, seed)
        found["peak_bytes"] -= base
        if corpus and found["verdict"] in ("accepted", "refused"):
            corpus.add(seed, target.mutated_by(seed), found["verdict"] == "accepted", target.said)
        lines.write(json.dumps(found) + "\n")
    lines.close()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
