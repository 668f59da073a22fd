"""The tokenizer's files: byte-level BPE with the ids that RoBERTa and OPT share.

Ids 0 to 3 are <s> <pad> </s> <unk>, then bytes and merges, then fillers named madeupword0000 as in the hub's own file,
and <mask> is 50264. The merges are those of the embedded SmolLM2: the same kind of tokenizer, another text; it has
1,100 fewer, so there are that many more fillers.
"""

from __future__ import annotations

import json
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

from seedtune.exporter.checkpoint.fetch.embedded import embedded_path
from seedtune.exporter.checkpoint.gguf.header import read_texts

SOURCE = "smollm2-135m-instruct"
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
MASK = "<mask>"
ENTRIES = 50265
Merges = list[tuple[str, str]]


def write_tokenizer(folder: Path, model_type: str) -> list[Path]:
    """Writes vocab.json, merges.txt and what else the hub serves for "roberta" or "opt"; returns the files."""
    vocabulary, merges = vocabulary_and_merges()
    written = {
        "vocab.json": json.dumps(vocabulary, ensure_ascii=False),
        "merges.txt": "\n".join(["#version: 0.2", *(" ".join(pair) for pair in merges)]) + "\n",
    }
    written |= _roberta(vocabulary, merges) if model_type == "roberta" else _opt()
    for name, text in written.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in written]


def vocabulary_and_merges() -> tuple[dict[str, int], Merges]:
    """Token -> id for all ENTRIES, and the merges in order of rank."""
    source = [tuple(line.split(" ")) for line in read_texts(embedded_path(SOURCE), "tokenizer.ggml.merges")]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    known = set(alphabet)
    tokens = [*SPECIAL, *alphabet]
    merges: Merges = []
    for left, right in source[: ENTRIES - 1 - len(tokens)]:
        # Each merge joins what earlier ones made; one that does not would be refused by the library.
        if left in known and right in known and left + right not in known:
            known.add(left + right)
            tokens.append(left + right)
            merges.append((left, right))
    tokens += [f"madeupword{number:04}" for number in range(ENTRIES - 1 - len(tokens))]
    return {token: index for index, token in enumerate([*tokens, MASK])}, merges


def _roberta(vocabulary: dict[str, int], merges: Merges) -> dict[str, str]:
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    ends = (("</s>", vocabulary["</s>"]), ("<s>", vocabulary["<s>"]))
    tokenizer.post_processor = processors.RobertaProcessing(*ends, trim_offsets=True, add_prefix_space=False)
    tokenizer.add_special_tokens([AddedToken(token, normalized=True) for token in SPECIAL])
    tokenizer.add_special_tokens([AddedToken(MASK, lstrip=True, normalized=True)])
    return {"tokenizer.json": tokenizer.to_str(), "tokenizer_config.json": json.dumps({"model_max_length": 512})}


def _opt() -> dict[str, str]:
    def token(content: str) -> dict[str, object]:
        return {"content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": True}

    special = {"bos_token": "</s>", "eos_token": "</s>", "unk_token": "</s>"}
    tokens = {name: token(content) for name, content in special.items()}
    config = {
        "errors": "replace",
        **{name: value | {"__type": "AddedToken"} for name, value in tokens.items()},
        "pad_token": "<pad>",
        "add_prefix_space": False,
        "add_bos_token": True,
        "tokenizer_class": "GPT2Tokenizer",
    }
    special_map = {**tokens, "pad_token": "<pad>"}
    return {"special_tokens_map.json": json.dumps(special_map), "tokenizer_config.json": json.dumps(config)}
