"""What the tests of the runtime share: two tiny checkpoints, bundles made of them, and rows they can be tuned on.

Everything is made once a session and read-only by contract; a test that spoils a bundle copies it first.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from seedtune.runtime.bundle.manifest import Storage
    from seedtune.runtime.bundle.objective import ContextStorage
    from seedtune.runtime.task.structure import Family, Scope

pytest_plugins = ["tiers"]
SEED = 20_240_229
NEGATIVE = ("awful", "boring", "dull", "bad")
POSITIVE = ("lovely", "great", "bright", "good")
FILLER = ("film", "song", "book")
# How bundles are made that nobody generates with: a second trace for the decode graph takes as long as the first.
QUICKLY: dict[str, Any] = {"targets": "all", "rank": 4, "check": False, "decode": False}
TASK = """\
name = "tiny-sentiment"
kind = "classification"
template = "Review: {text}\\nSentiment:"
truncate = "text"
max_tokens = 48
label_field = "label"

[[labels]]
value = "0"
name = "negative"
word = " negative"

[[labels]]
value = "1"
name = "positive"
word = " positive"

[masked]
template = "Review: {text}\\nSentiment:{mask}."
"""


def byte_level_tokenizer() -> Tokenizer:
    """Byte-level BPE trained on a few sentences, so that every label word and content word is one token."""
    sentences = [
        f"Review: a {word} {thing}\nSentiment: {label}"
        for words, label in ((NEGATIVE, "negative"), (POSITIVE, "positive"))
        for word in words
        for thing in FILLER
    ]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=["<s>", "</s>", "<pad>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(sentences, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return tokenizer


@pytest.fixture(scope="session")
def tiny_tokenizer() -> Tokenizer:
    """The tokenizer of ``tiny_checkpoint``, with ``<s>`` before each text."""
    return byte_level_tokenizer()


def randomised(model: PreTrainedModel) -> PreTrainedModel:
    """``model`` with weights from a seed, large enough that every layer matters to what it says."""
    import torch

    generator = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(1 + 0.05 * noise if "norm" in name.lower() else 0.2 * noise)
    return model


@pytest.fixture(scope="session")
def tiny_checkpoint(tracing: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of two layers with random weights and the tokenizer beside it."""
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = byte_level_tokenizer()
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
        tie_word_embeddings=True,
    )
    folder = tmp_path_factory.mktemp("tiny") / "checkpoint"
    randomised(LlamaForCausalLM(config)).save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>"
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_masked_checkpoint(tracing: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A RoBERTa of two layers with random weights; its tokenizer also has ``</s>`` behind a text, and ``<mask>``."""
    from transformers import PreTrainedTokenizerFast, RobertaConfig, RobertaForMaskedLM

    tokenizer = byte_level_tokenizer()
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True)])
    pairs = [("<s>", 0), ("</s>", 1)]
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=pairs)
    config = RobertaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=64,
        type_vocab_size=1,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
    )
    folder = tmp_path_factory.mktemp("tiny_masked") / "checkpoint"
    randomised(RobertaForMaskedLM(config)).save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>", mask_token="<mask>"
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_task_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The task file that every bundle here was exported for."""
    path = tmp_path_factory.mktemp("task") / "tiny.toml"
    path.write_text(TASK, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def bundle_of(
    tracing: None, request: pytest.FixtureRequest, tiny_task_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Path]:
    """``bundle_of(family, scope, context_storage, storage, layers, on_host)``: a tiny bundle, exported once."""
    made: dict[tuple[object, ...], Path] = {}

    def give(
        family: Family,
        scope: Scope,
        context_storage: ContextStorage = "fp32",
        storage: Storage = "fp32",
        layers: int | None = None,
        on_host: bool = False,
    ) -> Path:
        from seedtune.exporter.pipeline import export_bundle

        case = (family, scope, context_storage, storage, layers, on_host)
        if case not in made:
            source = request.getfixturevalue("tiny_checkpoint" if family == "causal" else "tiny_masked_checkpoint")
            out = tmp_path_factory.mktemp("-".join(map(str, case))) / "bundle"
            export_bundle(
                str(source),
                str(tiny_task_file),
                out,
                scope=scope,
                layers=layers,
                context_storage=context_storage,
                storage=storage,
                context_on_host=on_host,
                **QUICKLY,
            )
            made[case] = out
        return made[case]

    return give


@pytest.fixture(scope="session")
def tiny_bundle(bundle_of: Callable[..., Path]) -> Path:
    """The bundle of ``tiny_checkpoint`` with scope "all"."""
    return bundle_of("causal", "all")


@pytest.fixture(scope="session")
def suffix_bundle(bundle_of: Callable[..., Path]) -> Path:
    """The bundle of ``tiny_checkpoint`` with scope "suffix" and contexts stored as they are by default."""
    return bundle_of("causal", "suffix", "fp16")


def synthetic_rows(count: int, seed: int) -> list[dict[str, str]]:
    """Balanced rows whose label follows from any one of their words."""
    generator = random.Random(seed)
    rows = []
    for index in range(count):
        label = index % 2
        words = generator.choices((NEGATIVE, POSITIVE)[label], k=generator.randint(1, 3))
        rows.append({"text": f"a {' '.join(words)} {generator.choice(FILLER)}", "label": str(label)})
    return rows


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """``train`` (64 rows) and ``eval`` (24 rows): JSONL files that ``tiny_bundle`` can be tuned on."""
    folder = tmp_path_factory.mktemp("data")
    files = {}
    for name, count in (("train", 64), ("eval", 24)):
        files[name] = folder / f"{name}.jsonl"
        lines = (json.dumps(row) + "\n" for row in synthetic_rows(count, seed=len(name)))
        files[name].write_text("".join(lines), encoding="utf-8")
    return SimpleNamespace(folder=folder, **files)


@pytest.fixture(scope="session")
def entry_point() -> list[str]:
    """The start of a command line that runs ``seedtune`` with this interpreter."""
    return [sys.executable, "-c", "from seedtune.runtime.cli.main import run; run()"]


@pytest.fixture(scope="session")
def seedtune(entry_point: list[str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs ``seedtune`` in a process of its own and returns what it did."""

    def call(*arguments: object, timeout: float = 120, **options: Any) -> subprocess.CompletedProcess[str]:
        command = [*entry_point, *map(str, arguments)]
        options |= {"env": os.environ | {"NO_COLOR": "1", "COLUMNS": "120", "TERM": "dumb"}, "timeout": timeout}
        return subprocess.run(command, capture_output=True, text=True, check=False, **options)

    return call
