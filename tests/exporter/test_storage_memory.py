"""Anonymous memory of a probe does not grow with the model, however its weights are stored: they stay mapped."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from export_lab import VOCABULARY, random_model, save_folder
from transformers import OPTConfig

from seedtune.exporter.pipeline import export_bundle
from seedtune.runtime.bundle.manifest import Storage
from seedtune.runtime.bundle.objective import WEIGHTS

pytestmark = [
    pytest.mark.traced,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="RssAnon is Linux's"),
]
# Stored in the one way or the other way of fp32 and int4: mapped as they are, or widened a matrix at a time.
OTHERS = ("fp16", "bf16", "int8")
LAYERS = 6
WIDE: dict[str, Any] = {"hidden_size": 768, "ffn_dim": 3072, "word_embed_proj_dim": 768, "num_attention_heads": 8}
PROBE = """
import json, sys
from pathlib import Path
import numpy as np
from seedtune.exporter.reference.check import random_rows
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.graphs.mapped import MappedGraphs
from seedtune.runtime.graphs.session import open_session
from seedtune.runtime.model.feeders import open_feeder
from seedtune.runtime.telemetry.memory import PeakSampler, read_memory

bundle = Bundle.open(Path(sys.argv[1]))
rows = random_rows(bundle.manifest)
(batch,) = open_feeder(MappedGraphs(bundle), rows).batches(range(len(rows)), 1000)
feeds = {**batch.feeds, "seed": np.array([3], np.int64), "epsilon": np.array([1e-2], np.float32)}
feeds["state"] = np.zeros(bundle.manifest.state.parameters, np.float32)
before = read_memory().rss_anon_bytes
with PeakSampler(0.001) as sampler:
    session = open_session(bundle.graph_path("probe"), 1)
    for _ in range(3):
        session.run(["loss_plus", "loss_minus"], feeds)
    if sys.argv[2:]:
        held = np.fromfile(bundle.path / "weights.safetensors", np.uint8)
        sampler.sample()
print(json.dumps(sampler.peak.rss_anon_bytes - before))
"""


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """OPT of six layers: 170 MB in float32."""
    config = OPTConfig(
        vocab_size=VOCABULARY, num_hidden_layers=LAYERS, max_position_embeddings=64, do_layer_norm_before=True, **WIDE
    )
    return save_folder(tmp_path_factory.mktemp("deep"), random_model(config, "causal", 0.02))


def anonymous_growth(bundle: Path, *arguments: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", PROBE, str(bundle), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return int(json.loads(done.stdout))


@pytest.mark.parametrize("storage", ["fp32", "int4", *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)])
def test_no_copies_of_weights_stay_in_memory(deep: Path, tmp_path: Path, storage: Storage) -> None:
    out = tmp_path / storage
    export_bundle(str(deep), str(deep / "task.toml"), out, storage=storage, scope="all", check=False)
    # In float32 a layer is 28 MB, its largest matrix 9.4 MB. One copy of a matrix is widened at a time.
    copies_bytes = LAYERS * 28_000_000
    grown = anonymous_growth(out)
    print(f"{storage}: RssAnon grew by {grown / 1e6:.1f} MB, weights {(out / WEIGHTS).stat().st_size / 1e6:.0f} MB")
    assert grown < copies_bytes / 3
    if storage == "fp32":
        # The control: a copy would be seen.
        assert anonymous_growth(out, "copy") > copies_bytes
