"""Layers that read a table of positions are no targets: passed over by presets, refused by name."""

from pathlib import Path

import pytest
import transformers
from export_lab import random_model, save_folder
from suffix_families import BASE, config_of

from seedtune.exporter.passes.linear_layout import Linear, normalise_linears
from seedtune.exporter.pipeline import export_bundle
from seedtune.exporter.targets import select
from seedtune.exporter.trace.token_layers import off_tokens
from seedtune.exporter.trace.trunk import trace
from seedtune.runtime.errors import SeedTuneError

pytestmark = pytest.mark.traced

RELATIVE = BASE | {
    "num_hidden_layers": 1,
    "relative_attention": True,
    "pos_att_type": ["p2c", "c2p"],
    "position_biased_input": False,
}
SHARED = {"position_buckets": 16, "norm_rel_ebd": "layer_norm", "share_att_key": True}
# Case -> (configuration, endings of the layers that cannot be targets).
CASES = {
    "DeBERTa-v3, whose query and key layers read both": (
        lambda: transformers.DebertaV2Config(**(RELATIVE | SHARED)),
        {"query_proj", "key_proj"},
    ),
    "DeBERTa-v2 with layers of their own": (
        lambda: transformers.DebertaV2Config(**(RELATIVE | SHARED | {"share_att_key": False})),
        {"pos_key_proj", "pos_query_proj"},
    ),
    "DeBERTa": (lambda: transformers.DebertaConfig(**RELATIVE), {"pos_proj", "pos_q_proj"}),
}


@pytest.fixture(scope="module", params=CASES)
def deberta(request: pytest.FixtureRequest) -> tuple[list[Linear], set[str], set[str]]:
    """The layers of a model, those found unfit, and the endings of those that are."""
    config, endings = CASES[request.param]
    graph = trace(random_model(config(), "masked"), "masked").graph
    linears = normalise_linears(graph)
    return linears, off_tokens(graph, linears), endings


@pytest.mark.parametrize("targets", ["default", "all", "attention", "*.self.*"])
def test_presets_and_patterns_pass_over_them(deberta: tuple[list[Linear], set[str], set[str]], targets: str) -> None:
    linears, unfit, endings = deberta
    assert {name.rsplit(".")[-1] for name in unfit} == endings
    chosen = {linear.name.rsplit(".")[-1] for linear in select(linears, targets, unfit)}
    assert chosen
    assert not chosen & endings


def test_named_they_are_refused(deberta: tuple[list[Linear], set[str], set[str]]) -> None:
    linears, unfit, endings = deberta
    for ending in endings:
        with pytest.raises(SeedTuneError, match="reads other rows than those of tokens") as caught:
            select(linears, f"up,*.{ending}", unfit)
        assert f"layer.0.attention.self.{ending}" in str(caught.value)
    with pytest.raises(SeedTuneError, match="matches no linear layer"):
        select(linears, "nothing", unfit)


def test_a_bundle_of_all_others_is_right(tmp_path: Path) -> None:
    config, endings = CASES["DeBERTa-v3, whose query and key layers read both"]
    folder = save_folder(tmp_path / "model", random_model(config(), "masked"))
    manifest = export_bundle(str(folder), str(folder / "task.toml"), tmp_path / "out", targets="all")
    assert not {target.name.rsplit(".")[-1] for target in manifest.state.targets} & endings
    assert manifest.check is not None
    assert max(manifest.check.log_probability_error, manifest.check.perturbed_loss_error) < 1e-4


@pytest.mark.parametrize("case", ["llama", "albert, which shares its layers"])
def test_a_model_without_such_tables_loses_no_layer(case: str) -> None:
    family, config = config_of(case, num_hidden_layers=1)
    graph = trace(random_model(config, family), family).graph
    linears = normalise_linears(graph)
    assert linears
    assert off_tokens(graph, linears) == set()
