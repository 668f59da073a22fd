"""python scripts/bench step BUNDLE [BUNDLE ...] [--source CHECKPOINT]: a step against what else could be run.

In one run, on the same rows, with the same threads, in turns, each in a process of its own that waits while another
works:
 - seedtune: a probe and an update, for each BUNDLE;
 - forwards: two plain forward passes of the traced model in ONNX Runtime;
 - gemm: the step's linears alone, at the GEMM rate measured here: a lower bound in float32 for scope "all";
 - mezo: PyTorch MeZO (Malladi et al. 2023, algorithm 1), all weights, in place;
 - lora: PyTorch LoRA with AdamW, the targets and rank of the first BUNDLE;
 - training: onnxruntime-training 1.19.2, first-order on the same targets, in an environment made on first use.

SOURCE is what the bundles were exported from. Each process keeps what it holds: when memory does not suffice for all
at once, weights fall out of the page cache and the column "faults" shows it; choose fewer --contenders then. Memory is
that of the turns, not of loading. Needs a quiet machine: the column "other load" shows what else kept it busy.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from contenders import comparison
from contenders.training_environment import UnavailableError, make_artifacts, training_python
from contenders.turns import Contender, interleave
from lab.module_process import run_module
from lab.report import command_line, report, show
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.graphs.session import default_threads
from seedtune.runtime.model.splits import load_split
from seedtune.runtime.sizes import size_bytes

WHAT = "a step against what else could be run"
BAR = {
    "fp32, scope all / two forwards": "<= 1.10",
    "MeZO / fp32, scope all": ">= 3",
    "MeZO / int8, scope all": ">= 6",
    "RssAnon of MeZO / step": ">= 10",
}

KINDS = ("seedtune", "forwards", "gemm", "mezo", "lora", "training")
OUTPUT = Path("bench-output")


def main() -> None:
    """Measures and reports."""
    options = arguments()
    chosen = [kind.strip() for kind in options.contenders.split(",")]
    unknown = sorted(set(chosen) - set(KINDS))
    if unknown:
        sys.exit(f"unknown contenders: {', '.join(unknown)}; there are {', '.join(KINDS)}")
    # Hashes the weights, so no contender has to.
    bundles = [Bundle.open(path) for path in options.bundles]
    rows = OUTPUT / f"rows-{options.batch}x{options.tokens}"
    run_module("lab.exact_rows", bundles[0].path, rows, "--rows", options.batch, "--tokens", options.tokens)
    plain = OUTPUT / "plain"
    if {"forwards", "gemm", "training"} & set(chosen):
        # The weights of a float32 bundle can be shared.
        wide = next((bundle for bundle in bundles if bundle.manifest.storage == "fp32"), bundles[0])
        run_module(
            "contenders.plain_graph", options.source, plain, "--bundle", wide.path, "--rows", rows.with_suffix(".npz")
        )
    shared: dict[str, Any] = {
        "bundle": str(bundles[0].path),
        "source": options.source,
        "rows": str(rows.with_suffix(".npz")),
        "plain": str(plain),
        "folder": str(OUTPUT / "step-contexts"),
        "threads": options.threads,
        "memory_limits": [None, *options.memory_limit],
    }
    contenders = [contender for kind in KINDS if kind in chosen for contender in entrants(kind, bundles, shared)]
    try:
        for contender in contenders:
            contender.start()
        interleave(contenders, options.rounds)
    finally:
        for contender in contenders:
            contender.end()
    title = f"A step of {options.batch} rows of {options.tokens} tokens, {options.threads} threads"
    show(title, comparison.HEADINGS, [comparison.row_of(contender) for contender in contenders])
    rows_of_bars, ratios = comparison.ratios_of(contenders, BAR)
    result = {
        "batch": options.batch,
        "tokens": options.tokens,
        "threads": options.threads,
        "rounds": options.rounds,
        "source": options.source,
        "contenders": {contender.name: comparison.described(contender) for contender in contenders},
        "ratios": ratios,
    }
    report(f"{title}: bars", rows_of_bars, result)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = command_line(__file__, __doc__, BAR)
    parser.add_argument("bundles", nargs="+", type=Path, metavar="BUNDLE", help="of one model and task")
    parser.add_argument("--source", default="smollm2-135m-instruct", help="checkpoint: embedded name or folder")
    parser.add_argument("--batch", type=int, default=8, help="rows a step")
    parser.add_argument("--tokens", type=int, default=64, help="tokens of each row")
    parser.add_argument("--rounds", type=int, default=5, help="counted turns of each contender")
    parser.add_argument("--contenders", default=",".join(KINDS), help="which, separated by commas")
    parser.add_argument("--threads", type=int, default=default_threads(), help="of each contender")
    parser.add_argument(
        "--memory-limit", nargs="+", default=[], metavar="SIZE", help="enter each BUNDLE once more with this limit"
    )
    return parser.parse_args()


def entrants(kind: str, bundles: list[Bundle], shared: dict[str, Any]) -> list[Contender]:
    """The contenders of a kind: one for each bundle, one for each number of token rows, or one."""
    name = comparison.NAMES.get(kind, "SeedTune")
    if kind == "seedtune":
        facts = [bundle_facts(bundle, shared["rows"]) for bundle in bundles]
        limits = [size_bytes(limit, "--memory-limit") if limit else None for limit in shared["memory_limits"]]
        facts = [fact | {"memory_limit_bytes": limit} for fact in facts for limit in limits]
        names = [f"{name} {fact['storage']}, scope {fact['scope']}{within(fact)}" for fact in facts]
        return [
            Contender(called if names.count(called) == 1 else f"{called}, {fact['bundle']}", kind, shared | fact)
            for called, fact in zip(names, facts, strict=True)
        ]
    if kind == "gemm":
        counts = sorted({bundle_facts(bundle, shared["rows"])["token_rows"] for bundle in bundles}, reverse=True)
        return [Contender(f"{name}, {count:,} token rows", kind, shared | {"token_rows": count}) for count in counts]
    python, refusal = sys.executable, None
    if kind == "training":
        try:
            python = training_python((OUTPUT / "onnxruntime-training-1.19.2").resolve())
            make_artifacts(python, Path(shared["plain"]))
        except UnavailableError as error:
            refusal = str(error)
    contender = Contender(name, kind, shared, python)
    contender.refusal = refusal
    return [contender]


def within(fact: dict[str, Any]) -> str:
    """The memory limit of a contender, as a part of its name."""
    limit = fact["memory_limit_bytes"]
    return f", within {limit / 1e6:,.0f} MB" if limit else ""


def bundle_facts(bundle: Bundle, rows: str) -> dict[str, Any]:
    """What a table tells of a bundle: its path, storage and scope, and the token rows of a step, both sides."""
    examples = load_split(Path(rows).with_suffix(".jsonl"), bundle.compiled_task()).examples
    tokens = sum(len(example.ids if example.suffix is None else example.suffix) for example in examples)
    manifest = bundle.manifest
    return {
        "bundle": str(bundle.path),
        "storage": manifest.storage,
        "scope": manifest.language_model.scope,
        "token_rows": 2 * tokens,
    }


if __name__ == "__main__":
    main()
