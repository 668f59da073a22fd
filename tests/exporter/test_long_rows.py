"""Rows for which a trace does not hold are refused: a model may compute long rows in another way than short ones."""

import json
from pathlib import Path

import pytest
import transformers
from export_lab import TASK, random_model, save_folder
from suffix_families import BASE, GROUPED

from seedtune.exporter.checkpoint import open_checkpoint
from seedtune.exporter.checkpoint.limits import usable_positions
from seedtune.exporter.pipeline import export_bundle
from seedtune.exporter.reference.check import check_bundle
from seedtune.exporter.trace.trunk import trace
from seedtune.runtime.errors import SeedTuneError

pytestmark = pytest.mark.traced

LONGROPE = {"rope_type": "longrope", "short_factor": [1.0] * 4, "long_factor": [4.0] * 4, "rope_theta": 1e4}


def test_longrope_takes_rows_up_to_the_length_it_was_first_trained_with(tmp_path: Path) -> None:
    """Beyond it transformers computes all rows of a batch with other frequencies."""
    rope = LONGROPE | {"original_max_position_embeddings": 20}
    config = transformers.LlamaConfig(**(GROUPED | {"num_hidden_layers": 1, "rope_parameters": rope}))
    assert usable_positions(config) == 20
    folder = save_folder(tmp_path / "model", random_model(config, "causal"))
    with pytest.raises(SeedTuneError, match="allows longer rows than the model takes") as caught:
        export_bundle(str(folder), str(folder / "task.toml"), tmp_path / "out")
    assert "max_tokens <= 20" in str(caught.value)
    (folder / "task.toml").write_text(TASK.replace("max_tokens = 24", "max_tokens = 20"))
    manifest = export_bundle(str(folder), str(folder / "task.toml"), tmp_path / "out", check=False)
    assert manifest.language_model.model.max_positions == 20


@pytest.mark.parametrize(
    ("config", "usable"),
    [
        (
            transformers.Phi3Config(**(GROUPED | {"rope_parameters": LONGROPE, "original_max_position_embeddings": 8})),
            8,
        ),
        (transformers.LlamaConfig(**GROUPED), 66),
        (transformers.MptConfig(d_model=32, n_heads=4, n_layers=1, max_seq_len=50), 50),
        (transformers.BloomConfig(hidden_size=32, n_layer=1, n_head=4), 2**31 - 1),
    ],
    ids=["phi3", "llama", "mpt", "bloom"],
)
def test_positions_are_found_whatever_they_are_called(config: transformers.PretrainedConfig, usable: int) -> None:
    assert usable_positions(config) == usable


def test_rows_that_big_bird_would_cut_into_blocks_are_refused() -> None:
    """It attends to everything in rows of up to (5 + 2 * 1) * 4 tokens, and to blocks in longer ones."""
    config = transformers.BigBirdConfig(**(BASE | {"num_hidden_layers": 1, "block_size": 4, "num_random_blocks": 1}))
    model = random_model(config, "masked")
    trace(model, "masked", 28)
    with pytest.raises(SeedTuneError, match="computes long rows in another way") as caught:
        trace(model, "masked", 29)
    assert caught.value.rule == "max_tokens <= 28"


def test_a_row_as_long_as_the_task_allows_is_compared(tmp_path: Path) -> None:
    """A model that looks back further than the exported one says the same of short rows."""
    config = transformers.MistralConfig(**(GROUPED | {"num_hidden_layers": 1, "sliding_window": 30}))
    folder, out = save_folder(tmp_path / "model", random_model(config, "causal")), tmp_path / "out"
    task = folder / "task.toml"
    task.write_text(TASK.replace("max_tokens = 24", "max_tokens = 40"))
    export_bundle(str(folder), str(task), out, scope="all")
    stored = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps(stored | {"sliding_window": 64}))
    with pytest.raises(SeedTuneError, match="do not compute what transformers computes"):
        check_bundle(out, open_checkpoint(str(folder)), {})
