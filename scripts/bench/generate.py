"""python scripts/bench generate [--prompts N] [--tokens N]: greedy text beside transformers' own, and its speed.

Every prompt is a review of the demo through its task's template. Its text is compared, token by token, with that of
transformers' ``generate`` over the same checkpoint in float32. Then the loop is held against ONNX Runtime alone: the
same graph with the same inputs for the same number of tokens, in turns, by processor time. Memory is what the process
holds beside its mapped weights while it generates; torch comes in afterwards.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

import seedtune
from lab import smollm2
from lab.report import command_line, megabytes, report
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.generation.decoder import Decoder
from seedtune.runtime.telemetry.memory import read_memory

WHAT = "greedy text beside transformers' own, and its speed"
BAR = {
    "texts identical": "all",
    "speed": ">= 0.9 of plain ONNX Runtime",
}
PAIRS = 5
# Of a turn of the comparison in speed.
PROMPT_TOKENS, TURN_TOKENS = 48, 16


def main() -> None:
    """Measures and reports."""
    parser = command_line(__file__, __doc__, BAR)
    parser.add_argument("--prompts", type=int, default=100)
    parser.add_argument("--tokens", type=int, default=50)
    parser.add_argument("--bundle", help="of SmolLM2 in float32, with a decode graph; exported if left out")
    arguments = parser.parse_args()
    path = arguments.bundle or smollm2.exported(scope="last", layers=15, decode=True)
    before = read_memory().rss_anon_bytes
    with seedtune.open(path) as model:
        examples = smollm2.reviews(model.bundle, "test")[: arguments.prompts]
        prompts = [example.ids.tolist() for example in examples]
        decoder = Decoder.open(model.bundle)
        ratios, rate = speed(decoder, prompts[0])
        texts = [greedy(decoder, prompt, arguments.tokens) for prompt in prompts]
        held = read_memory().rss_anon_bytes
        cache = decoder.layout.bytes_per_token * (max(map(len, prompts)) + arguments.tokens)
    expected = of_transformers(model.bundle, prompts, arguments.tokens)
    same = sum(found == wanted for found, wanted in zip(texts, expected, strict=True))
    growth = None if held is None or before is None else held - before
    rows = [
        (f"texts of {arguments.tokens} tokens identical", f"{same} of {len(prompts)}", BAR["texts identical"]),
        ("speed, share of plain ONNX Runtime (median of pairs)", f"{statistics.median(ratios):.3f}", BAR["speed"]),
        ("tokens a second", f"{rate:.1f}", ""),
        ("anonymous memory beside the weights", megabytes(growth), f"the cache is {megabytes(cache)}"),
    ]
    result = {
        "prompts": len(prompts),
        "tokens": arguments.tokens,
        "identical": same,
        "speed_ratios": ratios,
        "tokens_per_second": rate,
        "anonymous_bytes": growth,
        "cache_bytes": cache,
    }
    report("Generation", rows, result)


def greedy(decoder: Decoder, prompt: Sequence[int], count: int) -> list[int]:
    """At most ``count`` tokens, up to one that ends a text."""
    past, found = decoder.begin(), list[int]()
    logits = decoder.read(past, prompt, None)
    while len(found) < count:
        index = int(logits.argmax())
        if index in decoder.layout.end_ids:
            break
        found.append(index)
        if len(found) < count:
            logits = decoder.read(past, [index], None)
    return found


def speed(decoder: Decoder, prompt: Sequence[int]) -> tuple[list[float], float]:
    """Seconds of plain calls over seconds of the loop, for each pair of turns, and the loop's tokens a second."""
    prompt = (list(prompt) * PROMPT_TOKENS)[:PROMPT_TOKENS]
    ratios, rates = [], []
    for _ in range(PAIRS):
        past = decoder.begin()
        logits = decoder.read(past, prompt, None)
        started = time.process_time()
        wall = time.monotonic()
        for _ in range(TURN_TOKENS):
            logits = decoder.read(past, [int(logits.argmax())], None)
        of_loop = time.process_time() - started
        rates.append(TURN_TOKENS / (time.monotonic() - wall))
        feeds = {
            "ids": np.array([[5]]),
            "mask": np.ones((1, 1), np.int64),
            "positions": np.array([[PROMPT_TOKENS]]),
            "position": np.array([0]),
            "context_length": np.array([PROMPT_TOKENS]),
            "keys": past.keys,
            "values": past.values,
            "state": decoder.untouched,
        }
        started = time.process_time()
        for _ in range(TURN_TOKENS):
            decoder.session.run(["logits", "new_keys", "new_values"], feeds)
        ratios.append((time.process_time() - started) / of_loop)
    return ratios, statistics.median(rates)


def of_transformers(bundle: Bundle, prompts: Sequence[Sequence[int]], count: int) -> list[list[int]]:
    """The same by transformers' ``generate``."""
    import torch

    from seedtune.exporter.checkpoint import open_checkpoint

    decoding = bundle.manifest.language_model.decode
    assert decoding is not None
    # torch types the attributes of a module as tensors.
    model: Any = open_checkpoint(bundle.manifest.language_model.model.source).reference()
    options = {"do_sample": False, "max_new_tokens": count, "eos_token_id": list(decoding.end_ids), "pad_token_id": 0}
    by_length: dict[int, list[int]] = {}
    for place, prompt in enumerate(prompts):
        by_length.setdefault(len(prompt), []).append(place)
    found: dict[int, list[int]] = {}
    for length, places in by_length.items():
        # Those of one length at once: nothing is filled up, so each is as it is alone.
        ids = torch.tensor([list(prompts[place]) for place in places])
        with torch.no_grad():
            whole = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), **options)
        for place, row in zip(places, whole[:, length:].tolist(), strict=True):
            end = next((index for index, token in enumerate(row) if token in decoding.end_ids), len(row))
            found[place] = row[:end]
    return [found[place] for place in range(len(prompts))]


if __name__ == "__main__":
    main()
