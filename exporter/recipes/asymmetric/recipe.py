"""The recipe asymmetric from start to end: read, learn, attack, measure, write."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import torch

from seedtune.exporter.recipes.asymmetric.attack import other_classes
from seedtune.exporter.recipes.asymmetric.evaluation import BATCH, STEPS, figures
from seedtune.exporter.recipes.asymmetric.nets import AsymmetricNet
from seedtune.exporter.recipes.asymmetric.pictures import Pictures, read_pictures
from seedtune.exporter.recipes.asymmetric.training import Learning
from seedtune.exporter.recipes.features import write_features
from seedtune.exporter.torch_classifier import export_torch_classifier
from seedtune.runtime.files import new_folder
from seedtune.runtime.recipes.asymmetric_settings import AsymmetricSettings
from seedtune.runtime.recipes.records import CLASSIFIER_FILE, RecipeEvent, RecipeFinished, RecipePrepared, RecipeStep

RECIPE = "asymmetric"
OUTPUTS = ("logits", "logits_robust", "logits_non_robust", "z_r", "z_n")


def made_asymmetric(source: str, out: Path, settings: AsymmetricSettings) -> Iterator[RecipeEvent]:
    """Makes the folder ``out``; yields events.

    Args:
        source: see `pictures.read_pictures`.
        out: the new folder.
        settings: of the recipe.

    Raises:
        SeedTuneError: pictures that cannot be used, a loss that is no number, or a folder that cannot be made; ``out``
            is then as it was.
    """
    pictures = read_pictures(source, settings.seed)
    data: dict[str, int | str] = {
        "name": pictures.name,
        "pictures": len(pictures.values),
        "classes": pictures.classes,
        "shape": " x ".join(map(str, pictures.values.shape[1:])),
    }
    yield RecipePrepared(data)
    with new_folder(out) as folder:
        values, labels = torch.from_numpy(pictures.values), torch.from_numpy(pictures.labels)
        train = torch.from_numpy(pictures.splits["train"])
        learning = Learning(values[train], labels[train], pictures.classes, settings)
        for epoch, loss in enumerate(learning.epochs(), 1):
            yield RecipeStep("learning", epoch, settings.epochs, loss)
        net = learning.net.eval()
        shape = tuple(map(int, pictures.values.shape[1:]))
        export_torch_classifier(net, shape, folder / CLASSIFIER_FILE, OUTPUTS)
        parts = -(-len(values) // BATCH)
        features: dict[str, npt.NDArray[Any]] = {}
        for part, rows in enumerate(_features(learning, values, labels, settings.seed), 1):
            for name, array in rows.items():
                features[name] = array if name not in features else np.concatenate([features[name], array])
            yield RecipeStep("attacking", part, parts)
        yield RecipeStep("measuring", 0, 1)
        test = pictures.splits["test"]
        measured: dict[str, Any] = {
            f"test, PGD of {STEPS} steps": figures(
                net, pictures.values[test], pictures.labels[test], settings.bound, settings.seed
            )
        }
        write_features(
            folder,
            RECIPE,
            _arrays(pictures, net, features),
            settings=msgspec.structs.asdict(settings),
            data=data,
            hashes=pictures.hashes,
            figures=measured,
        )
        files = {file.name: file.stat().st_size for file in sorted(folder.iterdir())}
    yield RecipeFinished(out, measured, files)


def _features(
    learning: Learning, values: torch.Tensor, labels: torch.Tensor, seed: int
) -> Iterator[dict[str, npt.NDArray[Any]]]:
    """Both heads' features of `BATCH` pictures at a time, as they are and attacked.

    Each is attacked both ways at once, toward a class drawn for it and away from its own: both heads will learn of it.
    """
    generator = torch.Generator().manual_seed(seed + 1)
    for first in range(0, len(values), BATCH):
        shown, said = values[first : first + BATCH], labels[first : first + BATCH]
        targets = other_classes(said, learning.classes, generator)
        both = torch.ones(len(said), dtype=torch.bool)
        moved = learning.attacked(shown, said, targets, both, both, learning.settings.bound, generator)
        with torch.no_grad():
            plain, after = learning.net.answers(shown), learning.net.answers(moved)
        yield {
            "z_robust": plain.z_r.numpy(),
            "z_non_robust": plain.z_n.numpy(),
            "z_robust_adversarial": after.z_r.numpy(),
            "z_non_robust_adversarial": after.z_n.numpy(),
            "adversarial_targets": targets.numpy(),
        }


def _arrays(
    pictures: Pictures, net: AsymmetricNet, features: dict[str, npt.NDArray[Any]]
) -> dict[str, npt.NDArray[Any]]:
    """What docs/guides/recipes.md lists; ``features`` of the contract are both heads' side by side."""
    heads = {"robust": net.robust, "non_robust": net.non_robust, "joint": net.joint}
    weights = {}
    for name, layer in heads.items():
        weights[f"w_{name}"] = layer.weight.detach().numpy()
        weights[f"b_{name}"] = layer.bias.detach().numpy()
    both = np.concatenate([features["z_robust"], features["z_non_robust"]], axis=1)
    return {"features": both, "labels": pictures.labels, **pictures.splits, **features, **weights}
