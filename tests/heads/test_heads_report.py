"""The report page of a run of heads: quality, embeddings on a plane, robust against natural accuracy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.decomposition import PCA

from seedtune.events import RunResult
from seedtune.runtime.arrays import encode_arrays, read_arrays
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.report.collect import collect
from seedtune.runtime.report.embeddings import neighbour_plane, principal_plane
from seedtune.runtime.report.feature_figures import feature_charts
from seedtune.runtime.report.page import render_page

Tune = Callable[..., RunResult]


def test_the_page_of_contrastive_heads_shows_quality_and_embeddings(
    heads_bundle: Callable[..., Path], tune_heads: Tune, tmp_path: Path
) -> None:
    result = tune_heads(heads_bundle("contrastive"), tmp_path / "run", eval_every=3)
    run = collect(tmp_path / "run")
    assert run.features == result.features
    assert run.embeddings["start"].shape == run.embeddings["best"].shape == (600, 64)
    assert (run.embeddings["start"] != run.embeddings["best"]).any()
    page = render_page(run)
    assert "By linear evaluation" in page
    assert 'id="chart-pca-start"' in page
    assert 'id="chart-pca-best"' in page
    assert "chart-t-sne" not in page
    names = [chart.name for chart in feature_charts(run.features, {}, tsne=True)]
    assert names == []


def test_the_page_of_robust_heads_shows_each_head(
    heads_bundle: Callable[..., Path], tune_heads: Tune, tmp_path: Path
) -> None:
    tune_heads(heads_bundle("heads"), tmp_path / "run")
    page = render_page(collect(tmp_path / "run"))
    assert "Of the joint head" in page
    assert "<td>non-robust</td>" in page
    assert 'id="chart-robustness"' in page
    assert "chart-pca" not in page


def test_the_plane_is_that_of_principal_components() -> None:
    values = np.random.default_rng(3).standard_normal((40, 6)).astype(np.float32) * np.array([5, 3, 1, 1, 1, 0.1])
    plane = principal_plane(values)
    unit = values / np.linalg.norm(values, axis=1, keepdims=True)
    expected = PCA(2).fit_transform(unit)
    np.testing.assert_allclose(np.abs(plane), np.abs(expected), atol=1e-6)
    # No other sign for the mirrored rows' axes, and one axis where there is one.
    np.testing.assert_array_equal(principal_plane(values), plane)
    assert not principal_plane(values[:, :1])[:, 1].any()


def test_neighbours_stay_together_by_t_sne() -> None:
    generator = np.random.default_rng(0)
    centres = np.repeat(generator.standard_normal((3, 8)) * 4, 12, axis=0)
    plane = neighbour_plane((centres + generator.standard_normal((36, 8)) * 0.1).astype(np.float32))
    distances = np.linalg.norm(plane[:, None] - plane[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    np.testing.assert_array_equal(distances.argmin(axis=1) // 12, np.arange(36) // 12)


def test_embeddings_of_other_rows_are_refused(
    heads_bundle: Callable[..., Path], tune_heads: Tune, tmp_path: Path
) -> None:
    tune_heads(heads_bundle("contrastive"), tmp_path / "run")
    path = tmp_path / "run" / "embeddings.safetensors"
    whole = {name: np.array(values) for name, values in read_arrays(path).items()}
    for changed in (
        {name: values for name, values in whole.items() if name != "best"},
        whole | {"best": whole["best"][:-1]},
        whole | {"labels": whole["labels"][:-1]},
        whole | {"start": whole["start"].astype(np.int64)},
    ):
        path.write_bytes(b"".join(encode_arrays(changed)))
        with pytest.raises(SeedTuneError, match="no embeddings of one set of rows"):
            collect(tmp_path / "run")
    path.write_bytes(b"torn")
    with pytest.raises(SeedTuneError, match="damaged"):
        collect(tmp_path / "run")
