"""Golden files for the engine, and one build of engine and app with their own tests over them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import golden as files
import golden_rows
import golden_tokens
import pytest
from golden_mutated import write_mutated
from golden_probes import write_probes
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

import seedtune
from seedtune.runtime.bundle.reader import Bundle

# family, scope, storage of contexts, storage of weights, layers, context on host
CASES = (
    ("causal", "all", "fp32", "fp32"),
    ("causal", "suffix", "fp16", "int8"),
    ("masked", "suffix", "int8", "fp32"),
    ("masked", "all", "fp32", "fp16"),
    ("causal", "last", "fp16", "fp32", 1),
    ("masked", "last", "int8", "fp32", 1, True),
)
# Runs whose steps the engine does not make, by name.
REPLAYED: dict[str, dict[str, Any]] = {
    "gauss-newton": {"estimator": "gauss-newton", "directions": 10, "batch_size": 24, "steps": 4},
    "one-sided": {"estimator": "one-sided", "directions": 3, "average": 0.5},
    "accuracy": {"objective": "accuracy"},
}


def word_pieces() -> Tokenizer:
    """BERT's tokenizer with a small vocabulary."""
    pieces = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *"abcdefghijklmnopqrstuvwxyz0123456789.,!?'-",
        "the",
        "film",
        "good",
    ]
    pieces += [f"##{piece}" for piece in [*"abcdefghijklmnopqrstuvwxyz0123456789", "ing", "ed"]] + [
        "看",
        "电",
        "影",
        "ф",
        "##и",
    ]
    tokenizer = Tokenizer(models.WordPiece({piece: place for place, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.add_special_tokens(pieces[:5])
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def split_by_pattern(tokenizer: Tokenizer) -> Tokenizer:
    """The same vocabulary, split as Llama 3 and Qwen split, composed first."""
    from tokenizers import Regex

    pattern = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    pattern += r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    copy = Tokenizer.from_str(tokenizer.to_str())
    copy.normalizer = normalizers.NFC()
    copy.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    return copy


@pytest.fixture(scope="session")
def golden(
    bundle_of: Callable[..., Path],
    tiny_data: SimpleNamespace,
    tiny_tokenizer: Tokenizer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The folder of golden files."""
    folder = tmp_path_factory.mktemp("golden")
    files.write_json(folder / "version.json", {"version": files.VERSION})
    files.write_noise(folder)
    files.write_numbers(folder)
    golden_rows.write_row_files(folder)
    masked = Bundle.open(bundle_of("masked", "all", "fp32", "fp16")).tokenizer()
    from seedtune.exporter.checkpoint import open_checkpoint

    smollm2 = open_checkpoint("smollm2-135m-instruct").tokenizer
    golden_tokens.write_tokenizers(
        folder,
        {
            "bytes": tiny_tokenizer,
            "masked": masked,
            "smollm2": smollm2,
            "pattern": split_by_pattern(smollm2),
            "words": word_pieces(),
        },
    )
    golden_tokens.write_spelled_rows(folder / "spelled")
    names = []
    for case in CASES:
        names.append("-".join(map(str, case)))
        write_run(folder / "runs" / names[-1], bundle_of(*case), tiny_data)
    names.append("momentum")
    write_run(folder / "runs" / names[-1], bundle_of(*CASES[0]), tiny_data, optimizer="momentum")
    for scope, case in (("last", CASES[4]), ("suffix", CASES[1])):
        names.append(f"gradient-{scope}")
        write_run(folder / "runs" / names[-1], bundle_of(*case), tiny_data, estimator="gradient")
    names.append("averaged")
    write_run(folder / "runs" / names[-1], bundle_of(*CASES[0]), tiny_data, optimizer="momentum", average=0.5)
    files.write_json(folder / "runs.json", names)
    for name, settings in REPLAYED.items():
        write_run(folder / "replayed" / name, bundle_of(*CASES[1]), tiny_data, **settings)
    files.write_json(folder / "replayed.json", list(REPLAYED))
    write_run(folder / "probed", bundle_of(*CASES[1]), tiny_data, start="linear-probe")
    write_probes(folder / "probes.json")
    files.write_grouped(folder / "grouped")
    write_mutated(folder)
    files.write_memory(folder / "memory.json", [bundle_of(*case) for case in CASES])
    return folder


def write_run(folder: Path, bundle: Path, data: SimpleNamespace, **more: Any) -> None:
    """A run of SETTINGS with one thread, its rows, and what its best state then says to the first."""
    settings = {name.replace("-", "_"): value for name, value in files.SETTINGS.items()} | more
    with seedtune.open(bundle, threads=1) as model:
        tuning = model.tune(data.train, data.eval, out=folder, **settings)
        for _event in tuning:
            pass
        (probabilities,) = model.predict([row.fields for row in model.rows(data.train)[:1]])
        files.write_rows(folder / "rows.jsonl", model.bundle, data.train)
    info = {
        "bundle": str(bundle),
        "more": more,
        "train": str(data.train),
        "eval": str(data.eval),
        "state_sha256": tuning.result.state_sha256,
        "probabilities": list(probabilities.values()),
    }
    files.write_json(folder / "info.json", info)


@pytest.fixture(scope="session")
def maven() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs Maven on the engine."""
    command = shutil.which("mvn")
    if command is None:
        pytest.skip("Maven is not installed: the engine is neither built nor tested")

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        # The environment's own options first, then ours; colours would end up in messages.
        return subprocess.run(
            [command, "-B", "-q", "-Dstyle.color=never", "-f", str(files.ENGINE / "pom.xml"), *arguments],
            capture_output=True,
            text=True,
            timeout=1200,
            check=False,
            env=dict(os.environ),
        )

    return call
