"""Bundles that generate, exported once, with transformers' model of the same checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from transformers import PreTrainedModel

TASK = """\
name = "answers"
kind = "completion"
template = "Review: {text}\\nSentiment:"
response = " {opinion}"
max_tokens = 48
"""
CHAT = (
    "{{ bos_token }}{% for message in messages %}{{ message['role'] }}: {{ message['content'] | trim }}"
    "{{ eos_token }}{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}"
)


@pytest.fixture(scope="session")
def chat_checkpoint(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny Llama with a chat template, and a second token that ends texts."""
    import json
    import shutil

    folder = tmp_path_factory.mktemp("chat") / "checkpoint"
    shutil.copytree(tiny_checkpoint, folder)
    (folder / "chat_template.jinja").write_text(CHAT, encoding="utf-8")
    settings = folder / "generation_config.json"
    stored = json.loads(settings.read_text("utf-8")) if settings.exists() else {}
    settings.write_text(json.dumps(stored | {"eos_token_id": [1, 7]}), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def completion_bundle(chat_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A completion task; the export compares its decode graph with transformers."""
    from seedtune.exporter.pipeline import export_bundle

    folder = tmp_path_factory.mktemp("generation")
    (folder / "answers.toml").write_text(TASK, encoding="utf-8")
    export_bundle(str(chat_checkpoint), str(folder / "answers.toml"), folder / "bundle", targets="all", rank=4)
    return folder / "bundle"


@pytest.fixture(scope="session")
def last_bundle(tiny_checkpoint: Path, tiny_task_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classification task, state at the last token of the upper layer of two, contexts at the desk, in 8 bits."""
    from seedtune.exporter.pipeline import export_bundle

    out = tmp_path_factory.mktemp("generation") / "last"
    options = {"targets": "all", "rank": 4, "scope": "last", "layers": 1, "context_on_host": True, "storage": "fp16"}
    options["decode"] = True
    export_bundle(str(tiny_checkpoint), str(tiny_task_file), out, **options)  # type: ignore[arg-type]
    return out


@pytest.fixture(scope="session")
def tiny_model(tiny_checkpoint: Path) -> PreTrainedModel:
    """transformers' own model of the tiny checkpoint."""
    from transformers import AutoModelForCausalLM

    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(tiny_checkpoint)
    return model.eval()
