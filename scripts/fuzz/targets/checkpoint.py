"""A model folder: config.json, headers of weights, their index and the tokenizer's files, as export opens them."""

from __future__ import annotations

import json
import math
import random
import struct
from typing import Any

from fuzz import made_up
from fuzz.blind import LONG_LENGTHS, mutated_bytes
from fuzz.target import ODD, Files, Odd, Target, plain_json, require_equal
from fuzz.trees import mutated_tree
from fuzz.values import RAW_JSON, encoded, to_json
from seedtune.exporter.checkpoint import open_checkpoint
from seedtune.exporter.checkpoint.weight_files import find_weight_files

CONFIG, INDEX = "config.json", "model.safetensors.index.json"
WHOLE, SHARDS = "model.safetensors", ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
TOKENIZER, TOKENIZER_CONFIG = "tokenizer.json", "tokenizer_config.json"
WIDTH = 16


def config() -> dict[str, Any]:
    """config.json of a tiny Llama."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "vocab_size": made_up.VOCABULARY,
        "max_position_embeddings": 64,
        "rms_norm_eps": 1e-6,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
        "hidden_act": "silu",
        "bos_token_id": 0,
        "eos_token_id": [1, 2],
        "pad_token_id": 2,
        "tie_word_embeddings": True,
        "dtype": "float32",
    }


def shapes() -> dict[str, list[int]]:
    """Name -> shape of its weights."""
    layer = "model.layers.0."
    found = {"model.embed_tokens.weight": [made_up.VOCABULARY, WIDTH], "model.norm.weight": [WIDTH]}
    found |= {layer + f"self_attn.{name}_proj.weight": [WIDTH, WIDTH] for name in "qo"}
    found |= {layer + f"self_attn.{name}_proj.weight": [WIDTH // 2, WIDTH] for name in "kv"}
    found |= {layer + f"mlp.{name}_proj.weight": [2 * WIDTH, WIDTH] for name in ("gate", "up")}
    found[layer + "mlp.down_proj.weight"] = [WIDTH, 2 * WIDTH]
    norms = ("input_layernorm", "post_attention_layernorm")
    return found | {f"{layer}{name}.weight": [WIDTH] for name in norms}


def header_of(names: list[str]) -> dict[str, Any]:
    """The header of a safetensors file of float32 tensors."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    start = 0
    for name in names:
        end = start + 4 * math.prod(shapes()[name])
        header[name] = {"dtype": "F32", "shape": shapes()[name], "data_offsets": [start, end]}
        start = end
    return header


def weights(header: dict[str, Any]) -> bytes:
    """A safetensors file; whatever the header says, the data stays as long as the whole tensors are."""
    size = sum(entry["data_offsets"][1] - entry["data_offsets"][0] for name, entry in header.items() if name[0] == "m")
    return made_up.safetensors(json.dumps(header).encode(), struct.pack("<f", 0.25) * (size // 4))


class CheckpointTarget(Target):
    """See the module docstring."""

    name = "checkpoint"

    def make(self) -> dict[str, bytes]:
        """A tiny Llama with one file of weights."""
        names = list(shapes())
        self._headers = [header_of(names), header_of(names[:4]), header_of(names[4:])]
        tokenizer_config = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "pad_token": "<pad>"}
        index = {name: SHARDS[place >= 4] for place, name in enumerate(names)}
        self._index: dict[str, Any] = {"metadata": {"total_size": 1}, "weight_map": index}
        return {
            CONFIG: json.dumps(config()).encode(),
            TOKENIZER: made_up.tokenizer("pairs").to_str().encode(),
            TOKENIZER_CONFIG: json.dumps(tokenizer_config | {"eos_token": "</s>"}).encode(),
            WHOLE: weights(self._headers[0]),
        }

    def mutated(self, generator: random.Random) -> Files:
        """See the module docstring."""
        kind = generator.random()
        if kind < 0.01:
            return {generator.choice((CONFIG, WHOLE, TOKENIZER)): generator.choice(ODD)}
        if kind < 0.4:
            return {CONFIG: self._text(generator, CONFIG, config())}
        if kind < 0.45:
            name = generator.choice((TOKENIZER, TOKENIZER_CONFIG))
            return {name: self._text(generator, name, json.loads(self.whole[name]))}
        if kind < 0.75:
            return {WHOLE: self._weights(generator, self._headers[0])}
        files: dict[str, bytes | Odd] = {WHOLE: Odd("missing"), INDEX: json.dumps(self._index).encode()}
        files |= {name: weights(header) for name, header in zip(SHARDS, self._headers[1:], strict=True)}
        if generator.random() < 0.7:
            files[INDEX] = encoded(to_json(mutated_tree(generator, self._index, RAW_JSON)))
        else:
            place = generator.randrange(2)
            files[SHARDS[place]] = self._weights(generator, self._headers[1 + place])
        return files

    def _text(self, generator: random.Random, name: str, value: Any) -> bytes:
        if generator.random() < 0.15:
            return mutated_bytes(generator, self.whole[name])
        return encoded(to_json(mutated_tree(generator, value, RAW_JSON)))

    def _weights(self, generator: random.Random, header: dict[str, Any]) -> bytes:
        raw = weights(header)
        length = int.from_bytes(raw[:8], "little")
        kind = generator.random()
        if kind < 0.2:
            return mutated_bytes(generator, raw[: 8 + length], [0, 8]) + raw[8 + length :]
        if kind < 0.3:
            return mutated_bytes(generator, raw, [0, 8, 8 + length, len(raw)])
        if kind < 0.4:
            return struct.pack("<Q", generator.choice(LONG_LENGTHS)) + raw[8:]
        return made_up.safetensors(encoded(to_json(mutated_tree(generator, header, RAW_JSON))), raw[8 + length :])

    def read(self) -> None:
        """Opens it; what it says of itself must be what config.json and the headers say."""
        checkpoint = open_checkpoint(str(self.folder))
        written = plain_json((self.folder / CONFIG).read_text("utf-8"))
        for name in ("hidden_size", "num_hidden_layers", "vocab_size", "max_position_embeddings"):
            if name in written:
                require_equal(getattr(checkpoint.config, name), written[name], name)
        require_equal(checkpoint.config.model_type, written["model_type"], "model_type")
        require_equal(checkpoint.padding_id in range(checkpoint.config.vocab_size), True, "padding id")
        require_equal(checkpoint.max_positions > 0, True, "positions")
        found = find_weight_files(self.folder)
        require_equal(len(set(found.files)), len(found.files), "files, each once")
        require_equal(all(file.parent == self.folder for file in found.files), True, "files beside config.json")
