"""Propagation, loss, weights, draws and encoder are what slow and plain versions of them say."""

from __future__ import annotations

from pathlib import Path

import msgspec
import networkx
import numpy as np
import onnxruntime
import pytest
import scipy.sparse
import torch
from small_graphs import blocks, npz

from seedtune import SeedTuneError
from seedtune.exporter.recipes.graph.adjacency import neighbours, normalised_adjacency, propagated, row_normalised
from seedtune.exporter.recipes.graph.encoder import Encoder, Inputs
from seedtune.exporter.recipes.graph.encoder_graph import write_encoder
from seedtune.exporter.recipes.graph.graph import Graph
from seedtune.exporter.recipes.graph.loss import contrastive_loss
from seedtune.exporter.recipes.graph.negatives import Negatives, clusters_of, draw_probabilities
from seedtune.exporter.recipes.graph.sources import read_graph, subgraph
from seedtune.exporter.recipes.graph.training import Learning
from seedtune.exporter.recipes.graph.views import Views
from seedtune.runtime.recipes.graph_settings import GraphContrastiveSettings

pytestmark = pytest.mark.traced
TEMPERATURE = 0.4


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    return read_graph(npz(tmp_path_factory.mktemp("graph") / "graph.npz"))


def test_the_adjacency_is_one_less_networkxs_normalised_laplacian_with_loops(graph: Graph) -> None:
    other = networkx.Graph()
    other.add_nodes_from(range(graph.nodes))
    other.add_edges_from(graph.edges.tolist() + [(node, node) for node in range(graph.nodes)])
    expected = np.eye(graph.nodes) - networkx.normalized_laplacian_matrix(other).toarray()
    np.testing.assert_allclose(normalised_adjacency(graph.edges, graph.nodes).toarray(), expected, atol=1e-6)


def test_propagated_features_are_the_best_of_their_rank(graph: Graph) -> None:
    adjacency = normalised_adjacency(graph.edges, graph.nodes).toarray().astype(np.float64)
    rows = row_normalised(graph.features).toarray()
    np.testing.assert_allclose(np.abs(rows).sum(1), 1, rtol=1e-6)
    whole = adjacency @ adjacency @ rows
    left, values, right = np.linalg.svd(whole)
    best = left[:, :5] * values[:5] @ right[:5]
    found = propagated(graph, 5, seed=1)
    # Distances between nodes are what is kept; the axes are any.
    np.testing.assert_allclose(found @ found.T, best @ best.T, atol=1e-6)
    assert (found.max(axis=0) >= -found.min(axis=0)).all()


def test_the_decomposition_by_lanczos_is_the_whole_ones_part() -> None:
    random = np.random.default_rng(0)
    wide = Graph(
        "wide",
        row_normalised(scipy.sparse.csr_array(random.random((160, 150)).astype(np.float32))),
        np.stack([np.arange(159), np.arange(1, 160)], axis=1),
        np.zeros(160, np.int64),
        {},
        {},
    )
    adjacency = normalised_adjacency(wide.edges, 160).toarray().astype(np.float64)
    left, values, _right = np.linalg.svd(adjacency @ adjacency @ wide.features.toarray())
    found = propagated(wide, 3, seed=0)
    expected = left[:, :3] * values[:3]
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-5)


def test_neighbours_are_those_of_networkx(graph: Graph) -> None:
    other = networkx.Graph(graph.edges.tolist())
    offsets, numbers = neighbours(graph)
    for node in range(graph.nodes):
        found = numbers[offsets[node] : offsets[node + 1]].tolist()
        assert found == (sorted(other[node]) if node in other else [])


def slow_loss(first: np.ndarray, second: np.ndarray, weights: np.ndarray | None = None) -> float:
    """GRACE's loss node by node: every other node of both views is a negative, ``weights`` [N, N] or 1."""
    views = [view / np.linalg.norm(view, axis=1, keepdims=True) for view in (first, second)]
    losses = []
    for here, there in (views, views[::-1]):
        for node in range(len(here)):
            positive = np.exp(here[node] @ there[node] / TEMPERATURE)
            negatives = 0.0
            for other in range(len(here)):
                if other != node:
                    weight = 1.0 if weights is None else weights[node, other]
                    negatives += weight * np.exp(here[node] @ there[other] / TEMPERATURE)
                    negatives += weight * np.exp(here[node] @ here[other] / TEMPERATURE)
            losses.append(-np.log(positive / (positive + negatives)))
    return float(np.mean(losses))


@pytest.mark.parametrize(("collision", "imbalance"), [("off", "off"), ("cosine", "off"), ("cosine", "clusters")])
def test_the_loss_over_all_nodes_is_graces_with_a_weight_a_pair(graph: Graph, collision: str, imbalance: str) -> None:
    settings = msgspec.structs.replace(
        GraphContrastiveSettings(negatives=0), class_collision=collision, imbalance=imbalance
    )
    base = propagated(graph, 8, 0)
    clusters = clusters_of(base, 4, 0)
    negatives = Negatives(base, clusters, settings)
    drawn = negatives.draw(torch.Generator())
    views = np.random.default_rng(0).standard_normal((2, graph.nodes, 6))
    parts = [(view, view[drawn]) for view in map(torch.from_numpy, views)]
    weighed = negatives.weights(torch.arange(graph.nodes), drawn).double()
    found = contrastive_loss(parts[0], parts[1], weighed, TEMPERATURE)
    weights = np.ones((graph.nodes, graph.nodes))
    if collision == "cosine":
        unit = base / np.linalg.norm(base, axis=1, keepdims=True)
        weights = 1 - np.clip(unit @ unit.T, 0, 1)
    if imbalance == "clusters":
        share = 1 / np.bincount(clusters)[clusters]
        weights = weights * (graph.nodes * share / share.sum())
    assert float(found) == pytest.approx(slow_loss(views[0], views[1], weights), rel=1e-5)


def test_drawn_negatives_stand_for_all_of_them(graph: Graph) -> None:
    settings = GraphContrastiveSettings(negatives=60_000, class_collision="off", imbalance="off")
    base = propagated(graph, 8, 0)
    negatives = Negatives(base, np.zeros(graph.nodes, np.int64), settings)
    drawn = negatives.draw(torch.Generator().manual_seed(3))
    views = np.random.default_rng(0).standard_normal((2, graph.nodes, 6)).astype(np.float32)
    parts = [(view, view[drawn]) for view in map(torch.from_numpy, views)]
    # A draw in N is the anchor itself, and counts for nothing.
    scale = graph.nodes / len(drawn)
    weighed = negatives.weights(torch.arange(graph.nodes), drawn) * scale
    found = contrastive_loss(parts[0], parts[1], weighed, TEMPERATURE)
    assert float(found) == pytest.approx(slow_loss(views[0], views[1]), rel=5e-3)


def test_each_cluster_is_drawn_as_often_as_any_other() -> None:
    clusters = np.repeat([0, 1, 2], [300, 60, 7]).astype(np.int64)
    probabilities = draw_probabilities(clusters, "clusters").numpy()
    np.testing.assert_allclose(np.bincount(clusters, weights=probabilities), 1 / 3)
    np.testing.assert_allclose(draw_probabilities(clusters, "off").numpy(), 1 / 367)
    settings = GraphContrastiveSettings(negatives=30_000, class_collision="off")
    base = np.random.default_rng(0).standard_normal((367, 4)).astype(np.float32)
    drawn = Negatives(base, clusters, settings).draw(torch.Generator().manual_seed(0)).numpy()
    # Three standard deviations of a third of 30,000 draws.
    np.testing.assert_allclose(np.bincount(clusters[drawn]) / 30_000, 1 / 3, atol=0.0082)


def test_a_quantile_leaves_out_the_likest_and_no_node_is_its_own_negative(graph: Graph) -> None:
    settings = GraphContrastiveSettings(negatives=40, class_collision="quantile", collision_quantile=0.75)
    base = propagated(graph, 8, 0)
    negatives = Negatives(base, clusters_of(base, 4, 0), settings)
    drawn = negatives.draw(torch.Generator().manual_seed(0))
    weights = negatives.weights(torch.arange(graph.nodes), drawn).numpy()
    unit = base / np.linalg.norm(base, axis=1, keepdims=True)
    for node in range(graph.nodes):
        likeness = unit[drawn.numpy()] @ unit[node]
        kept = weights[node] > 0
        own = drawn.numpy() == node
        assert not kept[own].any()
        left_out = ~kept & ~own
        if left_out.any() and kept.any():
            assert likeness[left_out].min() >= likeness[kept].max() - 1e-6
        assert left_out.sum() <= 10 + own.sum()


def dense_embedding(encoder: Encoder, graph: Graph, adjacency: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """The encoder of dense matrices, differentiated by torch alone."""
    features = torch.from_numpy(row_normalised(graph.features).toarray()) * kept
    found = torch.relu(adjacency @ features @ encoder.first + encoder.first_bias)
    return torch.relu(adjacency @ found @ encoder.second + encoder.second_bias)


def test_the_encoder_and_its_gradient_are_those_of_dense_matrices(graph: Graph) -> None:
    generator = torch.Generator().manual_seed(0)
    encoder = Encoder(graph.features.shape[1], 16, 5, generator)
    adjacency, kept = Views(graph, 0.3, 0.4).draw(generator)
    assert 0 < kept.sum() < len(kept)
    toward = torch.randn(graph.nodes, 5, generator=generator)
    gradients = []
    for found in (
        encoder(Inputs.of(graph), adjacency, kept),
        dense_embedding(encoder, graph, adjacency.to_dense(), kept),
    ):
        gradients.append(torch.autograd.grad((found * toward).sum(), list(encoder.parameters())))
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_a_view_is_the_normalised_adjacency_of_the_edges_that_it_has(graph: Graph) -> None:
    adjacency, _kept = Views(graph, 0.5, 0.0).draw(torch.Generator().manual_seed(5))
    dense = adjacency.to_dense().numpy()
    np.testing.assert_array_equal(dense, dense.T)
    pairs = np.argwhere(np.triu(dense, 1) > 0)
    assert 0.3 * len(graph.edges) < len(pairs) < 0.7 * len(graph.edges)
    assert {tuple(pair) for pair in pairs} < {tuple(pair) for pair in graph.edges.tolist()}
    np.testing.assert_allclose(dense, normalised_adjacency(pairs, graph.nodes).toarray(), atol=1e-6)
    whole, kept = Views(graph, 0.0, 0.0).draw(torch.Generator())
    np.testing.assert_allclose(
        whole.to_dense().numpy(), normalised_adjacency(graph.edges, graph.nodes).toarray(), atol=1e-6
    )
    assert kept.all()


def test_the_exported_encoder_embeds_nodes_that_it_never_saw(graph: Graph, tmp_path: Path) -> None:
    encoder = Encoder(graph.features.shape[1], 16, 5, torch.Generator().manual_seed(0))
    with torch.no_grad():
        encoder.first_bias.uniform_(-1, 1)
        encoder.second_bias.uniform_(-1, 1)
    write_encoder(tmp_path / "encoder.onnx", encoder)
    session = onnxruntime.InferenceSession(str(tmp_path / "encoder.onnx"))
    for nodes in (np.arange(graph.nodes), np.arange(10, 45)):
        part = subgraph(graph, nodes)
        inputs = Inputs.of(part)
        with torch.no_grad():
            expected = torch.nn.functional.normalize(encoder(inputs, inputs.adjacency)).numpy()
        (found,) = session.run(None, {"features": part.features.toarray(), "edges": part.edges})
        np.testing.assert_allclose(found, expected, atol=2e-6)


def test_more_pairs_than_memory_has_are_refused(graph: Graph) -> None:
    settings = GraphContrastiveSettings(anchors=0, negatives=2_000_000)
    with pytest.raises(SeedTuneError, match="too much memory"):
        Learning(graph, propagated(graph, 4, 0), np.zeros(graph.nodes, np.int64), settings)


def test_a_loss_that_is_no_number_stops_the_recipe(graph: Graph) -> None:
    settings = GraphContrastiveSettings(epochs=50, learning_rate=1.0, temperature=1e-30)
    learning = Learning(graph, propagated(graph, 4, 0), np.zeros(graph.nodes, np.int64), settings)
    with pytest.raises(SeedTuneError, match="is no number"):
        list(learning.steps())


def test_blocks_have_what_the_tests_say() -> None:
    assert blocks()["labels"].shape == (90,)
    assert len(blocks()["edges"]) > 200
