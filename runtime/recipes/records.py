"""What happens while a recipe is made, and the files of the folder that it makes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FEATURES_FILE = "features.npz"
DESCRIPTION_FILE = "features.json"
ENCODER_FILE = "encoder.onnx"
CLASSIFIER_FILE = "classifier.onnx"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class RecipePrepared:
    """The data was read and checked.

    Attributes:
        data: name -> count or words, as features.json has them.
        notices: what a person should know of it, such as edges that were left out.
    """

    data: dict[str, int | str]
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class RecipeStep:
    """``done`` of ``total`` parts of a phase are made.

    Attributes:
        phase: what goes on.
        done: parts so far.
        total: parts of the phase.
        loss: of the newest part; None where there is none.
    """

    phase: str
    done: int
    total: int
    loss: float | None = None


@dataclass(frozen=True)
class RecipeFinished:
    """The folder is there.

    Attributes:
        path: of the folder.
        figures: name -> what was measured; None where it could not be.
        files: name -> bytes.
    """

    path: Path
    figures: dict[str, Any]
    files: dict[str, int] = field(default_factory=dict)


RecipeEvent = RecipePrepared | RecipeStep | RecipeFinished
