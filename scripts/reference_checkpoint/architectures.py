"""What the hub serves for each model: configuration, tensors by name and shape, and how the weights are stored.

The tensors are listed by hand and not taken from transformers, because files on the hub were written by old versions:
RoBERTa's keep `position_ids`, an int64 buffer, and OPT's keep the tied head beside the embedding, on one storage.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

Format = Literal["safetensors", "bin"]


@dataclass(frozen=True)
class Stored:
    """One tensor of a weights file.

    Attributes:
        name: as in the file.
        shape: as in the file; linear weights are [out, in].
        kind: how its values are drawn, see `values.py`.
        same_as: the tensor whose storage it shares, for a tied head in a .bin file.
    """

    name: str
    shape: tuple[int, ...]
    kind: Literal["matrix", "bias", "norm", "positions"]
    same_as: str | None = None


@dataclass(frozen=True)
class Architecture:
    """One model of the hub.

    Attributes:
        hub_id: what `seedtune export` takes where the hub can be reached.
        config: config.json.
        dtype: "float32" or "float16", of every floating-point tensor.
        format: "safetensors" (one file) or "bin" (PyTorch's zip format; shards beyond `shard_bytes`).
        shard_bytes: the most that one .bin file holds.
    """

    hub_id: str
    config: dict[str, Any]
    dtype: Literal["float32", "float16"]
    format: Format
    shard_bytes: int = 10**10

    def tensors(self) -> Iterator[Stored]:
        """Every tensor of the weights file or files, in their order."""
        return _roberta(self.config) if self.config["model_type"] == "roberta" else _opt(self.config)

    def parameters(self) -> int:
        """Parameters, a tied one counted once; buffers are none."""
        count = 0
        for stored in self.tensors():
            if stored.same_as is None and stored.kind != "positions":
                size = 1
                for length in stored.shape:
                    size *= length
                count += size
        return count

    def with_layers(self, layers: int) -> Architecture:
        """The same model with another number of layers."""
        return replace(self, config=self.config | {"num_hidden_layers": layers})


def _roberta_of(name: str, hidden: int, layers: int, heads: int) -> Architecture:
    config = {
        "architectures": ["RobertaForMaskedLM"],
        "attention_probs_dropout_prob": 0.1,
        "bos_token_id": 0,
        "eos_token_id": 2,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "hidden_size": hidden,
        "initializer_range": 0.02,
        "intermediate_size": 4 * hidden,
        "layer_norm_eps": 1e-05,
        "max_position_embeddings": 514,
        "model_type": "roberta",
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
        "pad_token_id": 1,
        "type_vocab_size": 1,
        "vocab_size": 50265,
    }
    return Architecture(f"FacebookAI/{name}", config, "float32", "safetensors")


def _opt_of(name: str, hidden: int, layers: int, heads: int) -> Architecture:
    config = {
        "_name_or_path": f"facebook/{name}",
        "_remove_final_layer_norm": False,
        "activation_dropout": 0.0,
        "activation_function": "relu",
        "architectures": ["OPTForCausalLM"],
        "attention_dropout": 0.0,
        "bos_token_id": 2,
        "do_layer_norm_before": True,
        "dropout": 0.1,
        "eos_token_id": 2,
        "ffn_dim": 4 * hidden,
        "hidden_size": hidden,
        "init_std": 0.02,
        "layerdrop": 0.0,
        "max_position_embeddings": 2048,
        "model_type": "opt",
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
        "pad_token_id": 1,
        "prefix": "</s>",
        "torch_dtype": "float16",
        "transformers_version": "4.21.0.dev0",
        "use_cache": True,
        "vocab_size": 50272,
        "word_embed_proj_dim": hidden,
    }
    return Architecture(f"facebook/{name}", config, "float16", "bin")


ARCHITECTURES = {
    "roberta-base": _roberta_of("roberta-base", 768, 12, 12),
    "roberta-large": _roberta_of("roberta-large", 1024, 24, 16),
    "opt-125m": _opt_of("opt-125m", 768, 12, 12),
    "opt-1.3b": _opt_of("opt-1.3b", 2048, 24, 32),
    "opt-6.7b": _opt_of("opt-6.7b", 4096, 32, 32),
}


def _linear(name: str, out_features: int, in_features: int) -> Iterator[Stored]:
    yield Stored(f"{name}.weight", (out_features, in_features), "matrix")
    yield Stored(f"{name}.bias", (out_features,), "bias")


def _norm(name: str, size: int) -> Iterator[Stored]:
    yield Stored(f"{name}.weight", (size,), "norm")
    yield Stored(f"{name}.bias", (size,), "bias")


def _roberta(config: dict[str, Any]) -> Iterator[Stored]:
    hidden, inner, vocabulary = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    positions = config["max_position_embeddings"]
    yield Stored("lm_head.bias", (vocabulary,), "bias")
    yield from _linear("lm_head.dense", hidden, hidden)
    yield from _norm("lm_head.layer_norm", hidden)
    table = "roberta.embeddings"
    yield from _norm(f"{table}.LayerNorm", hidden)
    yield Stored(f"{table}.position_embeddings.weight", (positions, hidden), "matrix")
    yield Stored(f"{table}.position_ids", (1, positions), "positions")
    yield Stored(f"{table}.token_type_embeddings.weight", (config["type_vocab_size"], hidden), "matrix")
    yield Stored(f"{table}.word_embeddings.weight", (vocabulary, hidden), "matrix")
    for index in range(config["num_hidden_layers"]):
        layer = f"roberta.encoder.layer.{index}"
        yield from _norm(f"{layer}.attention.output.LayerNorm", hidden)
        yield from _linear(f"{layer}.attention.output.dense", hidden, hidden)
        for role in ("key", "query", "value"):
            yield from _linear(f"{layer}.attention.self.{role}", hidden, hidden)
        yield from _linear(f"{layer}.intermediate.dense", inner, hidden)
        yield from _norm(f"{layer}.output.LayerNorm", hidden)
        yield from _linear(f"{layer}.output.dense", hidden, inner)


def _opt(config: dict[str, Any]) -> Iterator[Stored]:
    hidden, inner, vocabulary = config["hidden_size"], config["ffn_dim"], config["vocab_size"]
    decoder = "model.decoder"
    embedding = Stored(f"{decoder}.embed_tokens.weight", (vocabulary, hidden), "matrix")
    yield embedding
    # The first two places are unused: positions start at 2 in fairseq.
    positions = config["max_position_embeddings"] + 2
    yield Stored(f"{decoder}.embed_positions.weight", (positions, hidden), "matrix")
    yield from _norm(f"{decoder}.final_layer_norm", hidden)
    for index in range(config["num_hidden_layers"]):
        layer = f"{decoder}.layers.{index}"
        for role in ("k_proj", "v_proj", "q_proj", "out_proj"):
            yield from _linear(f"{layer}.self_attn.{role}", hidden, hidden)
        yield from _norm(f"{layer}.self_attn_layer_norm", hidden)
        yield from _linear(f"{layer}.fc1", inner, hidden)
        yield from _linear(f"{layer}.fc2", hidden, inner)
        yield from _norm(f"{layer}.final_layer_norm", hidden)
    yield Stored("lm_head.weight", embedding.shape, "matrix", same_as=embedding.name)
