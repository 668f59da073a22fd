"""The export of features with a loss: a bundle of heads, or nothing at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx_ir as ir

from seedtune.exporter.graphs.update import build_update
from seedtune.exporter.heads.contrastive_eval import build_contrastive_eval
from seedtune.exporter.heads.contrastive_probe import build_contrastive_probe
from seedtune.exporter.heads.features import Features, read_features
from seedtune.exporter.heads.layers import Start, laid_out
from seedtune.exporter.heads.prepared import MOST_ROWS, Labelled, clusters, labelled, positives
from seedtune.exporter.heads.robust_eval import build_robust_eval
from seedtune.exporter.heads.robust_loss import HEADS, NAMES
from seedtune.exporter.heads.robust_probe import build_robust_probe
from seedtune.exporter.passes.finish import finish
from seedtune.exporter.storage.destination import destination, put, require_space, staged
from seedtune.runtime.arrays import write_arrays
from seedtune.runtime.bundle.heads import ROWS, Contrastive, FeatureHeads, Form, RobustHeads
from seedtune.runtime.bundle.manifest import (
    FORMAT_VERSION,
    MANIFEST,
    Manifest,
    StateLayout,
    describe,
    encode_manifest,
)
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.files import write_durably

Phase = Callable[[str], None]


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an export of features can be told.

    Attributes:
        form: of the trained change: full, low-rank or diagonal.
        rank: of low-rank.
        adapter_seed: of the fixed factor of low-rank, of k-means, and of the split where none is given.
        temperature: contrastive: by which cosines are divided.
        negatives: contrastive: rows of a step that its anchors are pushed from.
        collision_fix: contrastive: negatives that are alike weigh less.
        imbalance_fix: contrastive: negatives are drawn cluster by cluster.
        neighbours: contrastive: positives of a row, where none are given.
        clusters: contrastive: how many, where none are given; None for as many as classes.
        adversarial_weight: heads: of the robust head on adversarial pictures.
        target_weight: heads: of the non-robust head on adversarial pictures.
    """

    form: Form = "full"
    rank: int = 8
    adapter_seed: int = 0
    temperature: float = 1.0
    negatives: int = 256
    collision_fix: bool = True
    imbalance_fix: bool = True
    neighbours: int = 10
    clusters: int | None = None
    adversarial_weight: float = 1.0
    target_weight: float = 1.0

    def check(self) -> None:
        """Raises SeedTuneError for a number that none can be."""
        for name in ("rank", "neighbours", "clusters"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise SeedTuneError(f"--{name} is out of range", value=value, rule=">= 1", remedy=f"raise --{name}")


def export_heads(
    source: Path,
    objective: str,
    out: Path,
    *,
    overwrite: bool = False,
    phase: Phase = lambda _name: None,
    notice: Phase = lambda _text: None,
    **options: Any,
) -> Manifest:
    """Makes a bundle of the features in ``source`` and the loss ``objective``, and returns its manifest.

    Args:
        source: an .npz or .parquet file, or a folder that holds features.npz; see docs/reference/features.md.
        objective: contrastive or heads.
        out: the new folder.
        overwrite: replace an existing ``out``.
        phase: told the name of each phase as it starts.
        notice: told what was worked out because it was not given.
        options: see :class:`Options`.

    Raises:
        SeedTuneError: anything the user can put right; ``out`` is then as it was.
    """
    makers: Mapping[str, Callable[..., tuple[FeatureHeads, StateLayout, dict[str, ir.Model], dict[str, np.ndarray]]]]
    makers = {"contrastive": _contrastive, "heads": _robust}
    if objective not in makers:
        raise SeedTuneError(
            "there is no such objective", value=objective, rule=" or ".join(makers), remedy="choose one of these"
        )
    try:
        chosen = msgspec.convert(options, Options)
    except msgspec.ValidationError as error:
        raise SeedTuneError(
            f"an option of the export cannot be ({error})",
            value=options,
            rule=", ".join(Options.__struct_fields__),
            remedy="seedtune export --help",
        ) from error
    chosen.check()
    place = destination(out, overwrite)
    phase("reading the features")
    features = read_features(source)
    phase("preparing the rows")
    heads, layout, graphs, rows = makers[objective](features, chosen, notice)
    heads.check(features.path)
    graphs["update"] = build_update(layout)
    with staged(place) as folder:
        require_space(folder, sum(array.nbytes for array in rows.values()))
        phase("writing the bundle")
        write_arrays(folder / ROWS, rows)
        for name, graph in graphs.items():
            ir.save(finish(graph), folder / heads.graphs[name])
        manifest = Manifest(
            format_version=FORMAT_VERSION,
            seedtune_version=metadata.version("seedtune"),
            objective=heads,
            storage="fp32",
            state=layout,
            files={file.name: describe(file) for file in sorted(folder.iterdir())},
        )
        write_durably(folder / MANIFEST, encode_manifest(manifest))
        put(folder, place)
    return manifest


def _contrastive(
    features: Features, options: Options, notice: Phase
) -> tuple[FeatureHeads, StateLayout, dict[str, ir.Model], dict[str, np.ndarray]]:
    values = features.matrix("features")
    known = _known(features, options, len(values), required=False)
    offsets, found = positives(features, values, options.neighbours, notice)
    cluster_offsets, members = clusters(features, values, options.clusters, known.classes, options.adapter_seed)
    loss = Contrastive(options.temperature, options.negatives, options.collision_fix, options.imbalance_fix)
    heads = FeatureHeads(
        loss, features.path.name, len(values), values.shape[1], known.classes, options.form, features.provenance
    )
    start = Start("projection", values.shape[1])
    layout, (layer,) = laid_out([start], options.form, options.rank, options.adapter_seed)
    graphs = {
        "probe": build_contrastive_probe(layer, layout.parameters, loss),
        "eval": build_contrastive_eval(layer, layout.parameters, loss),
    }
    rows = {
        "features": values,
        "labels": known.labels,
        "positive_offsets": offsets,
        "positives": found,
        "cluster_offsets": cluster_offsets,
        "cluster_members": members,
    }
    return heads, layout, graphs, rows | known.splits


def _robust(
    features: Features, options: Options, _notice: Phase
) -> tuple[FeatureHeads, StateLayout, dict[str, ir.Model], dict[str, np.ndarray]]:
    first = features.matrix(NAMES[0])
    count = len(first)
    clean = [first, features.matrix(NAMES[1], count)]
    known = _known(features, options, count, required=True)
    targets = features.integers("adversarial_targets", count, least=-1, end=known.classes)
    twins = [features.matrix(f"{name}_adversarial", count, unused=targets < 0) for name in NAMES]
    widths = [values.shape[1] for values in clean]
    for name, values, width in zip(NAMES, twins, widths, strict=True):
        if values.shape[1] != width:
            raise features.refusal(
                f"the adversarial {name} have another width", values.shape[1], f"{width}, as {name} have"
            )
    starts = []
    for name, size in zip(HEADS, (*widths, sum(widths)), strict=True):
        weights = features.matrix(f"w_{name}", known.classes)
        bias = features.vector(f"b_{name}", known.classes)
        if weights.shape[1] != size:
            raise features.refusal(f"the head {name} reads other features", weights.shape[1], f"{size} columns")
        starts.append(Start(name, size + 1, np.concatenate([weights, bias[:, None]], axis=1)))
    loss = RobustHeads(widths[0], widths[1], options.adversarial_weight, options.target_weight)
    heads = FeatureHeads(loss, features.path.name, count, sum(widths), known.classes, options.form, features.provenance)
    layout, layers = laid_out(starts, options.form, options.rank, options.adapter_seed)
    graphs = {
        "probe": build_robust_probe(layers, layout.parameters, loss),
        "eval": build_robust_eval(layers, layout.parameters, loss, known.classes),
    }
    rows = dict(zip(NAMES, clean, strict=True))
    rows |= {f"{name}_adversarial": values for name, values in zip(NAMES, twins, strict=True)}
    return heads, layout, graphs, rows | {"labels": known.labels, "adversarial_targets": targets} | known.splits


def _known(features: Features, options: Options, rows: int, *, required: bool) -> Labelled:
    if rows > MOST_ROWS:
        raise features.refusal("there are more rows than a place can name", rows, f"at most {MOST_ROWS:,}")
    return labelled(features, rows, options.adapter_seed, required=required)
