"""What the untouched model makes of rows, computed once and kept on disk: hidden states, keys, values, label scores.

Whatever tunes inside a reach, or probes, reads this and never runs the lower layers again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from lab.accuracy.language_model import LanguageModel, by_length, padded
from seedtune.runtime.task.example import Example

ROWS_A_PASS = 16
DONE = "done.json"


@dataclass(frozen=True)
class Frozen:
    """R rows of T tokens in all, through L layers of width H.

    Attributes:
        starts: [R + 1], where the tokens of each row begin, and the end.
        last: [R, L + 1, H] float32, what enters each layer at the label position; the last is behind the final norm.
        entering: layer -> [T, H] float32, what enters it at every token: beyond the range of float16 in some models.
        keys, values: [L - lowest, T, key heads, head size] float16, of the layers from ``lowest`` on.
        lowest: the first layer whose keys and values are kept.
        seconds: what the pass took.
    """

    starts: np.ndarray
    last: np.ndarray
    entering: dict[int, np.ndarray]
    keys: np.ndarray
    values: np.ndarray
    lowest: int
    seconds: float


def frozen(model: LanguageModel, examples: Sequence[Example], entering: Sequence[int], folder: Path) -> Frozen:
    """The pass over ``examples``, from ``folder`` where it lies there.

    Args:
        model: untouched.
        examples: the rows; whoever names ``folder`` answers for its being theirs.
        entering: the layers whose entering states are kept; keys and values from the lowest of them on.
        folder: of the arrays.
    """
    if not (folder / DONE).is_file():
        folder.mkdir(parents=True, exist_ok=True)
        started = time.perf_counter()
        _compute(model, examples, sorted(entering), folder)
        about = {"entering": sorted(entering), "seconds": time.perf_counter() - started}
        (folder / DONE).write_text(json.dumps(about))
    about = json.loads((folder / DONE).read_text())
    kept = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("starts", "last", "keys", "values")}
    states = {layer: np.load(folder / f"entering{layer}.npy", mmap_mode="r") for layer in about["entering"]}
    return Frozen(**kept, entering=states, lowest=min(about["entering"]), seconds=about["seconds"])


@torch.no_grad()
def _compute(model: LanguageModel, examples: Sequence[Example], entering: Sequence[int], folder: Path) -> None:
    config = model.model.config
    layers, hidden = config.num_hidden_layers, config.hidden_size
    lengths = [len(example.ids) for example in examples]
    starts = np.concatenate([[0], np.cumsum(lengths)])
    tokens, lowest = int(starts[-1]), min(entering)
    head_size = getattr(config, "head_dim", None) or hidden // config.num_attention_heads
    cache = (layers - lowest, tokens, config.num_key_value_heads, head_size)
    np.save(folder / "starts.npy", starts)
    last = _array(folder / "last.npy", np.float32, (len(examples), layers + 1, hidden))
    states = {layer: _array(folder / f"entering{layer}.npy", np.float32, (tokens, hidden)) for layer in entering}
    keys, values = (_array(folder / f"{name}.npy", np.float16, cache) for name in ("keys", "values"))
    for rows in by_length(lengths, range(len(examples)), ROWS_A_PASS):
        ids, mask = padded([examples[row] for row in rows])
        made = model.model.model(input_ids=ids, attention_mask=mask, use_cache=True, output_hidden_states=True)
        for place, row in enumerate(rows):
            here, length = slice(starts[row], starts[row + 1]), lengths[row]
            last[row] = torch.stack([state[place, examples[row].position] for state in made.hidden_states]).numpy()
            for layer, array in states.items():
                array[here] = made.hidden_states[layer][place, :length].numpy()
            for layer in range(lowest, layers):
                of_layer = made.past_key_values.layers[layer]
                keys[layer - lowest, here] = of_layer.keys[place, :, :length].transpose(0, 1).numpy()
                values[layer - lowest, here] = of_layer.values[place, :, :length].transpose(0, 1).numpy()


def _array(path: Path, element: type[np.floating], shape: tuple[int, ...]) -> np.memmap:
    return np.lib.format.open_memmap(path, mode="w+", dtype=element, shape=shape)
