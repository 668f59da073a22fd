"""Graphs of every source are read as they are; others are refused by name, and what was put right is told."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx
import numpy as np
import pytest
import scipy.sparse
from small_graphs import blocks, npz, old_array, old_lists, pickled, planetoid

from seedtune import SeedTuneError
from seedtune.exporter.recipes.graph.harmless_pickle import read_pickle
from seedtune.exporter.recipes.graph.sources import digits_graph, read_graph


def test_dense_and_sparse_arrays_are_the_same_graph(tmp_path: Path) -> None:
    dense = read_graph(npz(tmp_path / "dense.npz"))
    table = scipy.sparse.csr_array(blocks()["features"])
    parts = {"data": table.data, "indices": table.indices, "indptr": table.indptr, "shape": np.array(table.shape)}
    sparse = read_graph(npz(tmp_path / "sparse.npz", features=None, **parts))
    for graph in (dense, sparse):
        np.testing.assert_array_equal(graph.features.toarray(), blocks()["features"])
        np.testing.assert_array_equal(graph.edges, blocks()["edges"])
        np.testing.assert_array_equal(graph.labels, blocks()["labels"])
        assert graph.notices == ()


def test_loops_directions_and_repeated_edges_are_taken_out_and_told(tmp_path: Path) -> None:
    edges = blocks()["edges"]
    messy = np.concatenate([edges[::-1, ::-1], edges[:7], [[3, 3], [4, 4]]])
    graph = read_graph(npz(tmp_path / "messy.npz", edges=messy))
    np.testing.assert_array_equal(graph.edges, edges)
    assert any("2 edges from a node to itself" in notice for notice in graph.notices)
    assert any("7 edges said again" in notice for notice in graph.notices)


def test_nodes_without_neighbours_or_labels_are_told_and_kept(tmp_path: Path) -> None:
    labels = blocks()["labels"]
    labels[:5] = -1
    edges = blocks()["edges"]
    graph = read_graph(npz(tmp_path / "some.npz", edges=edges[(edges != 8).all(axis=1)], labels=labels))
    assert graph.nodes == len(labels)
    assert any("1 nodes have no neighbour" in notice for notice in graph.notices)
    assert any("5 of 90 nodes have no label" in notice for notice in graph.notices)
    assert (read_graph(npz(tmp_path / "none.npz", labels=None)).labels == -1).all()


BAD: dict[str, Callable[[], dict[str, Any]]] = {
    "edges are no pairs": lambda: {"edges": np.zeros((4, 3), int)},
    "an edge names a node that has no features": lambda: {"edges": np.array([[0, 90]])},
    "an edge names a node": lambda: {"edges": np.array([[0, -1]])},
    "no edge joins two nodes": lambda: {"edges": np.array([[2, 2]])},
    "the graph has no edges": lambda: {"edges": None},
    "the graph has no features": lambda: {"features": None},
    "the features are no table": lambda: {"features": np.zeros(90)},
    "the features are no numbers": lambda: {"features": np.full((90, 2), "a")},
    "some features are not finite": lambda: {"features": np.full((90, 2), np.nan)},
    "every feature is 0": lambda: {"features": np.zeros((90, 2))},
    "the labels do not fit the nodes": lambda: {"labels": np.zeros(89, int)},
    "labels are one class": lambda: {"labels": np.ones(90, int)},
    "a label is no class number": lambda: {"labels": np.arange(90) * 10**6},
    "the graph is too large": lambda: {"features": np.ones((50_001, 1), np.float32)},
    "the split train names a node twice": lambda: {"train": np.array([1, 1])},
    "the split test names nodes that are not there": lambda: {"test": np.array([1, 90])},
    "a node is in two splits": lambda: {"train": np.array([1, 2]), "test": np.array([2, 3])},
    "no .npz of plain arrays": lambda: {"labels": np.array([{}], object)},
    "parts of the sparse features do not fit": lambda: {
        "features": None, "data": np.ones(2), "indices": np.array([0, 99]), "indptr": np.array([0, 1, 2]),
        "shape": np.array([2, 3]),
    },
    "sparse features do not fit together": lambda: {
        "features": None, "data": np.ones(2), "indices": np.array([0, 1]), "indptr": np.array([0, 1, 2]),
        "shape": np.array([2, 2**60]),
    },
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_graphs_that_are_none(what: str, tmp_path: Path) -> None:
    with pytest.raises(SeedTuneError, match=what) as refused:
        read_graph(npz(tmp_path / "bad.npz", **BAD[what]()))
    assert "bad.npz" in str(refused.value)
    assert refused.value.remedy


def test_paths_that_hold_no_graph(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(SeedTuneError, match=r"no \.npz of plain arrays"):
        read_graph(tmp_path / "text.npz")
    with pytest.raises(SeedTuneError, match="there is no graph here"):
        read_graph(tmp_path / "absent")


def test_a_folder_of_planetoid_is_put_together_in_the_order_of_its_index(tmp_path: Path) -> None:
    expected = planetoid(tmp_path / "small")
    graph = read_graph(tmp_path / "small")
    np.testing.assert_array_equal(graph.features.toarray(), expected["features"])
    np.testing.assert_array_equal(graph.labels, expected["labels"])
    np.testing.assert_array_equal(graph.edges, expected["edges"])
    np.testing.assert_array_equal(graph.splits["train"], np.arange(12))
    np.testing.assert_array_equal(graph.splits["test"], expected["test"])
    assert len(graph.hashes) == 8


@pytest.mark.parametrize("protocol", [2, 4])
def test_what_python_3_pickled_is_read_like_what_python_2_did(protocol: int, tmp_path: Path) -> None:
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    for form in (array, np.asfortranarray(array)):
        (tmp_path / "new").write_bytes(pickle.dumps(form, protocol))
        np.testing.assert_array_equal(read_pickle(tmp_path / "new"), array)
    (tmp_path / "table").write_bytes(pickle.dumps(scipy.sparse.csr_matrix(array), protocol))
    found = read_pickle(tmp_path / "table")
    assert isinstance(found, scipy.sparse.csr_array)
    np.testing.assert_array_equal(found.toarray(), array)


def test_a_pickle_that_would_run_something_does_not(tmp_path: Path) -> None:
    victim = tmp_path / "victim"

    class Program:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (victim,)

    planetoid(tmp_path / "small")
    hostile = {
        "a call": pickle.dumps(Program()),
        "a call of eval": pickled(b"c__builtin__\neval\nU\x011\x85R"),
        "a call of list": pickled(b"c__builtin__\nlist\nU\x011\x85R"),
        "too few bytes": pickled(old_array(np.arange(3.0))[:-10] + b"tb"),
        "neighbours that are text": pickled(old_lists({0: [1]})).replace(b"J\x01\x00\x00\x00", b"U\x03one"),
        "a number": pickled(b"K\x01"),
        "nothing": b"",
    }
    for name, raw in hostile.items():
        (tmp_path / "small" / "ind.small.graph").write_bytes(raw)
        with pytest.raises(SeedTuneError, match="this file is not read"):
            read_graph(tmp_path / "small")
        assert not victim.exists(), name


def test_files_of_planetoid_that_do_not_fit_together(tmp_path: Path) -> None:
    planetoid(tmp_path / "small")
    (tmp_path / "small" / "ind.small.ty").write_bytes(pickled(old_array(np.zeros((3, 3), np.int32))))
    with pytest.raises(SeedTuneError, match="do not fit together"):
        read_graph(tmp_path / "small")
    (tmp_path / "small" / "ind.small.ty").unlink()
    with pytest.raises(SeedTuneError, match="a file of the graph is missing"):
        read_graph(tmp_path / "small")
    (tmp_path / "small" / "ind.other.graph").write_bytes(b"")
    with pytest.raises(SeedTuneError, match="no single graph"):
        read_graph(tmp_path / "small")


def test_a_graph_of_networkx_is_read_in_the_order_of_its_nodes() -> None:
    graph = networkx.DiGraph()
    graph.add_node("b", features=[1.0, 0.0], label=1)
    graph.add_node("a", features=[0.0, 2.0], label=0)
    graph.add_node("c", features=[0.0, 0.0])
    graph.add_edges_from([("a", "b"), ("b", "a"), ("c", "c")])
    found = read_graph(graph)
    assert found.edges.tolist() == [[0, 1]]
    assert found.labels.tolist() == [1, 0, -1]
    np.testing.assert_array_equal(found.features.toarray(), [[1, 0], [0, 2], [0, 0]])
    graph.add_node("d", features=[1.0])
    with pytest.raises(SeedTuneError, match="a node has no features"):
        read_graph(graph)
    graph.nodes["d"].update(features=[1.0, 1.0], label="x")
    with pytest.raises(SeedTuneError, match="label is no class number"):
        read_graph(graph)


def test_the_digits_are_joined_to_their_nearest() -> None:
    graph = digits_graph()
    rows = graph.features.toarray()
    distance = ((rows[:200, None] - rows[None]) ** 2).sum(2)
    distance[np.arange(200), np.arange(200)] = np.inf
    joined = {tuple(sorted(pair)) for pair in graph.edges.tolist()}
    for node in range(200):
        nearest = distance[node].argsort(kind="stable")[:9]
        assert all(tuple(sorted((node, int(other)))) in joined for other in nearest)
    assert (graph.nodes, graph.classes) == (1797, 10)
