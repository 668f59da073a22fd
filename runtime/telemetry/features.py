"""How good heads over features are, and ``features.json`` of a RUN folder, which tells it before and after."""

from __future__ import annotations

import msgspec

FEATURES_FILE = "features.json"
EMBEDDINGS_FILE = "embeddings.safetensors"


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """Of ``rows`` rows: the share whose class is found, and the mean over the classes of F1."""

    accuracy: float
    macro_f1: float
    rows: int


class HeadScore(msgspec.Struct, frozen=True, kw_only=True):
    """Of the test rows, for one head.

    ``natural`` is the share of clean rows whose class it finds; ``adversarial`` that of their adversarial twins, and
    ``target`` the share of twins that it reads as the class that they were made for. Both are None without twins.
    """

    head: str
    natural: float
    adversarial: float | None
    target: float | None


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    """Of one state. None where a split has no labelled row.

    Of contrastive embeddings ``validation`` and ``test`` are of linear evaluation: a logistic regression over the
    embeddings of the training rows. Of heads they are of the joint head, and ``heads`` tells of each.
    """

    validation: Score | None
    test: Score | None
    heads: tuple[HeadScore, ...] = ()


class FeatureResult(msgspec.Struct, frozen=True, kw_only=True):
    """``features.json``: of the state that the run started from, and of its best one, after ``step`` steps."""

    before: Quality
    after: Quality
    step: int
