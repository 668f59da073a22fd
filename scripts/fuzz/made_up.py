"""A made-up bundle, whole and small, with a tokenizer of each model.

Its graphs are any bytes, as only their hashes are read. Two processes make the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors

LABEL_WORDS = (" bad", " good")
TEMPLATE = "Review: {text}\nIt was"
HOST_FILES = ("context.onnx", "context.safetensors")
GRAPHS = ("probe.onnx", "eval.onnx", "update.onnx", "context.onnx", "probe.stage0.onnx", "probe.stage1.onnx")
VOCABULARY = 400
PARAMETERS = 96
# name -> (dtype, shape), in the order in which they lie.
WEIGHTS: dict[str, tuple[str, list[int]]] = {
    "layers.0.w": ("F32", [32, 32]),
    "layers.1.w": ("U8", [64, 32]),
    "embedding": ("F16", [20, 8]),
    "norm": ("F32", [8]),
    "steps": ("I64", [3]),
}
BYTES = {"F32": 4, "U8": 1, "F16": 2, "I64": 8}
PACKED = "layers.1.w"
# name -> its special tokens: beginning, end, padding, unknown, mask.
TOKENIZERS = ("pairs", "pieces", "unigram", "words")


def tokenizer(name: str) -> Tokenizer:
    """A small tokenizer of each of the four models, whose label words are one token each."""
    specials = ["<s>", "</s>", "<pad>", "<unk>", "<mask>"]
    words = ["Review", "It", "was", "bad", "good", "film", "a", ":"]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    if name == "pairs":
        made = _byte_pairs(specials, letters)
    elif name == "pieces":
        pieces = [*specials, *words, *"abcdefgilmorsvwtdn", *(f"##{letter}" for letter in "abcdefgilmorsvwtdn")]
        ids = {piece: place for place, piece in enumerate(dict.fromkeys(pieces))}
        made = Tokenizer(models.WordPiece(ids, unk_token="<unk>"))
        made.normalizer = normalizers.BertNormalizer(lowercase=False)
        made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    elif name == "unigram":
        scored = [
            (piece, -1.0 * place) for place, piece in enumerate([*specials, *(f"▁{word}" for word in words), "▁"])
        ]
        scored += [(letter, -20.0) for letter in "abcdefgilmorsvwtdn:"]
        made = Tokenizer(models.Unigram(scored, unk_id=3, byte_fallback=False))
        made.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace("  ", " ")])
        made.pre_tokenizer = pre_tokenizers.Metaspace()
    else:
        ids = {piece: place for place, piece in enumerate([*specials, *words])}
        made = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))
        made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Digits(True)])
    made.add_special_tokens([AddedToken(text, special=True) for text in specials])
    made.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)])
    return made


def _byte_pairs(specials: list[str], letters: list[str]) -> Tokenizer:
    ids = {token: place for place, token in enumerate(specials + letters)}
    merges = []
    for word in ("Ġbad", "Ġgood", "Ġfilm", "Ġwas"):
        whole = word[0]
        for letter in word[1:]:
            if whole + letter not in ids:
                merges.append((whole, letter))
                ids[whole + letter] = len(ids)
            whole += letter
    made = Tokenizer(models.BPE(ids, merges))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return made


def weights_header() -> dict[str, Any]:
    """The header of the weights file."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    start = 0
    for name, (dtype, shape) in WEIGHTS.items():
        size = BYTES[dtype]
        for length in shape:
            size *= length
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, start + size]}
        start += size
    return header


def weights_data() -> bytes:
    """The bytes of all weights: values that are no NaN in any type."""
    size = max(entry["data_offsets"][1] for name, entry in weights_header().items() if name != "__metadata__")
    return bytes(place * 7 % 61 for place in range(size))


def safetensors(header: bytes, data: bytes) -> bytes:
    """A safetensors file."""
    return len(header).to_bytes(8, "little") + header + data


def plan() -> dict[str, Any]:
    """stages.json."""

    def stage(graph: str, values: dict, weights: dict, outputs: dict, layers: Any = None, numbers: Any = None) -> dict:
        return {
            "graph": graph,
            "values": values,
            "layers": layers or {},
            "weights": weights,
            "numbers": numbers or {},
            "outputs": outputs,
        }

    first = stage("probe.stage0.onnx", {"ids": "ids"}, {"w": "embedding", "n": "norm"}, {"x": "a"})
    numbers = {"slice": {"shape": [2, 1], "values": [0, 64]}}
    second = stage("probe.stage1.onnx", {"x": "a"}, {"w": "layers.0.w"}, {"y": "b"}, {"k": ["keys", 0]}, numbers)
    third = stage("probe.stage1.onnx", {"x": "b"}, {"w": "layers.1.w"}, {"y": "loss"}, {"k": ["keys", 1]}, numbers)
    take = {"fixed": 100.0, "token": 20.5, "pair": 0.0, "reach": 1.25, "context": 4.0}
    return {
        "graphs": {name: [first, second, third] for name in ("probe", "eval", "context")},
        "roles": {"embedding": "mapped", "norm": "resident", "layers.0.w": "streamed", "layers.1.w": "streamed"},
        "memory": {name: {"held": take, "running": take} for name in ("probe", "eval", "context")},
        "packed": [PACKED],
    }


def usual_task() -> dict[str, Any]:
    """The task as it stands in a manifest."""
    labels = [{"value": str(place), "word": word, "name": word.strip()} for place, word in enumerate(LABEL_WORDS)]
    return {
        "name": "made-up",
        "kind": "classification",
        "template": TEMPLATE,
        "labels": labels,
        "response": "",
        "truncate": "text",
        "max_tokens": 48,
        "max_characters": 20000,
        "label_field": "label",
        "masked": None,
    }


def manifest(label_word_ids: list[int], of_task: dict[str, Any], family: str) -> dict[str, Any]:
    """The manifest, without its list of files."""
    model = {
        "source": "made-up",
        "architecture": "LlamaForCausalLM",
        "family": family,
        "parameters": 9000,
        "hidden_size": 32,
        "vocabulary_size": VOCABULARY,
        "max_positions": 64,
        "padding_id": 2,
        "mask_token": "<mask>" if family == "masked" else None,
        "unknown_token": "<unk>",
        "end_token": "</s>",
    }
    target = {"lora_a": "a", "out_features": 16, "in_features": 32, "rank": 2}
    return {
        "format_version": 6,
        "seedtune_version": "0.1.0",
        "objective": {
            "kind": "language_model",
            "model": model,
            "task": of_task,
            "label_word_ids": label_word_ids,
            "scope": "suffix",
            "context": {"layers": 2, "key_heads": 1, "head_size": 4, "storage": "int8", "entering": 0},
        },
        "storage": "fp32",
        "state": {
            "parameters": PARAMETERS,
            "rank": 2,
            "adapter_seed": 3,
            "targets": [{"name": "q", "offset": 0, **target}, {"name": "v", "offset": 64, **target}],
        },
        "files": {},
        "host_files": list(HOST_FILES),
        "check": {"rows": 4, "log_probability_error": 1e-6, "perturbed_loss_error": 2e-6, "allowed": 1e-4},
    }


def bundle(
    tokenizer_name: str = "pairs", task: dict[str, Any] | None = None, family: str = "causal"
) -> dict[str, bytes]:
    """A bundle, file -> bytes; whole unless ``task`` is not."""
    made = tokenizer(tokenizer_name)
    task = task or usual_task()
    spelled = {"pairs": "Ġ{}", "unigram": "▁{}"}.get(tokenizer_name, "{}")
    found = [made.token_to_id(spelled.format(label["word"].strip())) for label in task["labels"]]
    label_word_ids = [0 if place is None else place for place in found]
    files = {name: f"graph {name}".encode() for name in GRAPHS}
    files["tokenizer.json"] = made.to_str().encode()
    files["weights.safetensors"] = safetensors(json.dumps(weights_header()).encode(), weights_data())
    # What only contexts read, were it not that these graphs are any bytes.
    files["context.safetensors"] = safetensors(b"{}", b"")
    files["stages.json"] = json.dumps(plan()).encode()
    files["manifest.json"] = json.dumps(sealed(manifest(label_word_ids, task, family), files)).encode()
    return files


def trials() -> dict[str, Any]:
    """trials.json of a run."""
    losses = {"loss_start": 0.7, "loss": 0.6, "accuracy": 0.5, "gain": 0.1, "gain_half_width": 0.2}
    counts = {"batch_size": 2, "steps": 9, "example_passes": 36, "held_out_rows": 2}
    rest = {"steps": 6, "seconds": 9.5, "rss_anon_bytes": 10**8, "batch_size": 2, "eval_every": 2}
    rate = {"learning_rate": 0.03, "step_ms": 1.5}
    return {
        "format_version": 1,
        "budget_seconds": 60.0,
        "elapsed_seconds": 1.5,
        "trials": [{"method": "two-sided", "seconds": 0.5, **rate, **losses, **counts}],
        "chosen": {"method": "two-sided", "reason": "two-sided is chosen", **rate, **rest},
    }


def sealed(value: dict[str, Any], files: dict[str, bytes]) -> dict[str, Any]:
    """The manifest ``value`` with size and hash of each of ``files``."""
    entries = {
        name: {"size_bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}
        for name, raw in files.items()
        if name != "manifest.json"
    }
    return value | {"files": entries}
