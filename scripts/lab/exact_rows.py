"""python -m lab.exact_rows BUNDLE OUT [--rows 8] [--tokens 64]: labelled rows of exactly so many tokens.

Writes OUT.jsonl, for ``seedtune run``, and OUT.npz, the same rows tokenised: ids [B, T], mask [B, T], position [B],
label [B], words [L] (int64, the ids of the label words). The text is plain English words from a fixed seed.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.task.compile import CompiledTask
from seedtune.runtime.task.example import Example

WORDS = ("the", "a", "film", "story", "good", "bad", "long", "old", "first", "and", "of", "in", "never", "very")
SEED = 0


def main() -> None:
    """Writes both files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("out", type=Path, help="path without its ending")
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=64, help="of each row, template and special tokens counted")
    options = parser.parse_args()
    write_rows(options.bundle, options.out, options.rows, options.tokens)


def write_rows(bundle: Path, out: Path, rows: int, tokens: int) -> None:
    """See the module docstring."""
    opened = Bundle.open(bundle, verify_weights=False)
    task = opened.compiled_task()
    generator = np.random.default_rng(SEED)
    made = [row_of(task, tokens, generator) for _ in range(rows)]
    labels = np.arange(rows) % len(task.task.labels)
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.with_suffix(".jsonl").open("w", encoding="utf-8") as file:
        for (fields, _), label in zip(made, labels, strict=True):
            file.write(json.dumps({**fields, task.task.label_field: task.task.labels[label].value}) + "\n")
    np.savez(
        out.with_suffix(".npz"),
        ids=np.stack([encoded.ids for _, encoded in made]),
        mask=np.ones((rows, tokens), np.int64),
        position=np.array([encoded.position for _, encoded in made], np.int64),
        label=labels.astype(np.int64),
        words=np.array(opened.manifest.language_model.label_word_ids, np.int64),
    )


def row_of(task: CompiledTask, tokens: int, generator: np.random.Generator) -> tuple[dict[str, str], Example]:
    """Fields and tokens of one row: words are added to the truncated field until the row is long enough."""
    if task.task.kind == "completion" or tokens > task.task.max_tokens:
        sys.exit(
            f"rows of {tokens} tokens cannot be made for task {task.task.name} (max_tokens {task.task.max_tokens})"
        )
    fields = dict.fromkeys(task.task.fields, "film")
    words: list[str] = ["film"]
    while True:
        encoded = task.encode(fields)
        if len(encoded.ids) == tokens and not encoded.truncated_tokens:
            return fields, encoded
        if len(encoded.ids) > tokens or encoded.truncated_tokens:
            # The last word had more tokens than were missing, or the template alone is too long.
            if len(words) == 1:
                sys.exit(f"the template of task {task.task.name} alone has more than {tokens} tokens")
            words[-1] = str(generator.choice(WORDS))
            if len(words) > 2 and generator.random() < 0.5:
                words.pop()
        else:
            words.append(str(generator.choice(WORDS)))
        fields[task.task.truncate] = " ".join(words)


if __name__ == "__main__":
    main()
