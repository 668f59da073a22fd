"""`seedtune.recipe`: representations learned with gradients on a computer; another way into the exporter and torch."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.extras import needs_extra
from seedtune.runtime.recipes.asymmetric_settings import AsymmetricSettings
from seedtune.runtime.recipes.graph_settings import GraphContrastiveSettings
from seedtune.runtime.recipes.records import RecipeEvent
from seedtune.runtime.run.options import check, chosen

Recipe = Literal["graph-contrastive", "asymmetric"]


def recipe(
    name: Recipe,
    source: Any,
    *,
    out: str | Path,
    propagate_only: bool = False,
    **settings: Any,
) -> Iterator[RecipeEvent]:
    """Makes a folder of features that heads are tuned on; yields events, the last has what was measured.

    Args:
        name: "graph-contrastive" or "asymmetric".
        source: "digits", which needs no file; or of "graph-contrastive" the path of an .npz or of a Planetoid folder,
            or a ``networkx.Graph`` whose nodes have ``features`` and an integer ``label``; of "asymmetric" an .npz with
            ``images`` and ``labels``, or a folder of image files, one folder a class number.
        out: the new folder.
        propagate_only: of "graph-contrastive": no encoder, but propagated features.
        settings: as on the command line: epochs, learning_rate, seed, ...

    Raises:
        SeedTuneError: anything that the user can put right; ``out`` is then as it was.
    """
    if name == "asymmetric":
        asymmetric = chosen(AsymmetricSettings(), settings)
        check(asymmetric)
        with needs_extra("export,recipes", "a recipe needs"):
            from seedtune.exporter.recipes.asymmetric.recipe import made_asymmetric
        return made_asymmetric(str(source), Path(out), asymmetric)
    if name != "graph-contrastive":
        raise SeedTuneError("there is no such recipe", value=name, rule=", ".join(typing.get_args(Recipe)))
    contrastive = chosen(GraphContrastiveSettings(), settings)
    check(contrastive)
    with needs_extra("export,recipes", "a recipe needs"):
        from seedtune.exporter.recipes.graph.recipe import made_graph_contrastive
    return made_graph_contrastive(source, Path(out), contrastive, propagate_only=propagate_only)
