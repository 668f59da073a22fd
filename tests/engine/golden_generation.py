"""Text that the engine must generate again: draws of the sampler, texts of tokens, what tuned bundles go on with."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from golden import write_json, write_lines
from golden_tokens import texts
from tokenizers import Tokenizer

import seedtune
from seedtune.runtime.generation.sampling import Sampling, choose
from seedtune.runtime.generation.text import TextStream

TASK = """\
name = "answers"
kind = "completion"
template = "Review: {text}\\nSentiment:"
response = " {label}"
max_tokens = 48
"""
# Of a classifier: family, scope, storage of contexts, storage of weights, layers, contexts at the desk.
CLASSIFIERS = {"all": ("causal", "all"), "last": ("causal", "last", "fp16", "fp16", 1)}
PROMPTS = ("a lovely film", "a dull, awful song about 😀", "great")
RAW = "<s>Review: good</s>"
TOKENS = 24
SETTINGS: dict[str, Any] = {"steps": 6, "batch_size": 8, "start": "zero", "learning_rate": 0.3}
SAMPLINGS: tuple[dict[str, Any], ...] = (
    {},
    {"temperature": 1.5, "seed": 3},
    {"temperature": 0.7, "top_p": 0.9, "seed": 2**32 - 1},
    {"temperature": 1.0, "top_p": 0.3, "seed": 5, "stop": ["e", "film"]},
)


def export_generating(checkpoint: Path, task_file: Path, folder: Path) -> dict[str, Path]:
    """Bundles with decode graphs: of a completion task, of classifiers with the state everywhere and nearly nowhere.

    Returns:
        Name -> bundle.
    """
    from seedtune.exporter.pipeline import export_bundle

    folder.mkdir(exist_ok=True)
    (folder / "answers.toml").write_text(TASK, encoding="utf-8")
    options: dict[str, Any] = {"targets": "all", "rank": 4, "check": False, "decode": True}
    bundles = {"completion": folder / "completion"}
    export_bundle(str(checkpoint), str(folder / "answers.toml"), bundles["completion"], **options)
    for name, (_, scope, *more) in CLASSIFIERS.items():
        contexts, storage, layers = more or ("fp32", "fp32", None)
        bundles[name] = folder / name
        kept = {"scope": scope, "context_storage": contexts, "storage": storage, "layers": layers}
        kept["context_on_host"] = layers is not None
        export_bundle(str(checkpoint), str(task_file), bundles[name], **kept, **options)  # type: ignore[arg-type]
    return bundles


def write_generation(folder: Path, bundles: Mapping[str, Path], data: SimpleNamespace) -> None:
    """generation/: draws.jsonl, and a RUN folder for each of ``bundles`` with what its state then goes on with."""
    folder.mkdir()
    _write_draws(folder / "draws.jsonl")
    write_json(folder / "bundles.json", list(bundles))
    for name, bundle in bundles.items():
        run = folder / name
        with seedtune.open(bundle, threads=1) as model:
            untouched = [model.generate(prompt, max_tokens=TOKENS).text for prompt in PROMPTS]
            # So much that it says other things afterwards.
            for _event in model.tune(data.train, out=run, seed=3, **SETTINGS):
                pass
            assert [model.generate(prompt, max_tokens=TOKENS).text for prompt in PROMPTS] != untouched, name
            records = [
                _generated(model, prompt, raw, options)
                for options in SAMPLINGS
                for prompt, raw in (*((prompt, False) for prompt in PROMPTS), (RAW, True))
            ]
        write_lines(run / "generated.jsonl", records)
        write_json(run / "info.json", {"bundle": str(bundle), "train": str(data.train)})


def _generated(model: Any, prompt: str, raw: bool, options: Mapping[str, Any]) -> dict[str, Any]:
    generation = model.generate(prompt, raw=raw, max_tokens=TOKENS, **options)
    pieces = list(generation)
    return {
        "prompt": prompt,
        "raw": raw,
        "temperature": 0.0,
        "top_p": 1.0,
        "seed": 0,
        "stop": [],
        "max_tokens": TOKENS,
        **options,
        "prompt_ids": list(generation.prompt_ids),
        "ids": generation.ids,
        "pieces": pieces,
        "text": generation.text,
        "finish": generation.finish,
    }


def _write_draws(path: Path) -> None:
    """Logits of many shapes, with settings, and the tokens that are drawn at the first places."""
    generator = np.random.default_rng(17)
    records = []
    for size in (1, 2, 7, 40, 3000):
        flat = np.zeros(size, np.float32)
        # Of few values, so that many are equal.
        coarse = generator.integers(-2, 3, size).astype(np.float32)
        for logits in (
            flat,
            coarse,
            *(scale * generator.standard_normal((3, size)).astype(np.float32) for scale in (1, 5)),
        ):
            for row in logits.reshape(-1, size):
                for temperature, top_p in ((0.0, 1.0), (1.0, 1.0), (0.3, 0.95), (1.7, 0.5), (1e-6, 1.0), (1.0, 1e-9)):
                    sampling = Sampling(temperature=temperature, top_p=top_p, seed=int(generator.integers(2**32)))
                    drawn = [choose(row, sampling, place) for place in range(20)]
                    settings = {"temperature": temperature, "top_p": top_p, "seed": sampling.seed}
                    # Every float32 is a float64 of the same value.
                    records.append({"logits": row.astype(float).tolist(), **settings, "drawn": drawn})
    write_lines(path, records)


def write_decoded(place: Path, tokenizer: Tokenizer) -> None:
    """decoded.jsonl beside a tokenizer.json: ids of texts and random ones, with their text and its pieces."""
    generator = random.Random(23)
    size = tokenizer.get_vocab_size()
    rows: list[list[int]] = [tokenizer.encode(text).ids for text in texts()[:150]]
    rows += [[generator.randrange(size + 3) for _ in range(generator.randint(1, 12))] for _ in range(150)]
    records = []
    for ids in rows:
        before, stops = (
            generator.randint(0, 3),
            generator.sample(["e", " a", "the", "\ufffd", "é"], generator.randint(0, 2)),
        )
        stream = TextStream(tokenizer, ids[:before], stops)
        pieces = [stream.add(index) for index in ids[before:]]
        pieces.append(stream.finish())
        text = tokenizer.decode(ids, skip_special_tokens=True)
        records.append({"ids": ids, "text": text, "before": before, "stops": stops, "pieces": pieces})
    write_lines(place / "decoded.jsonl", records)
