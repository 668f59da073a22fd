"""The files of a SCAN folder, and what happens while it is made."""

from __future__ import annotations

from typing import Any

import msgspec

from seedtune.runtime.telemetry.records import MachineInfo

SCAN_FILE = "scan.json"
LINES_FILE = "scan.jsonl"
RESULT_FILE = "result.json"
JOURNAL_FILE = "journal.bin"
PICTURES_FILE = "pictures.npz"
SEARCHED_FILE = "searched.safetensors"
WHITE_BOX_FILE = "white_box.npz"
GRAPHS_FOLDER = "graphs"
FORMAT_VERSION = 1


class ClassifierInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Which classifier: its file and SHA-256, how images go in (see `Classifier`), and what its scores are."""

    path: str
    sha256: str
    order: str
    kind: str
    classes: int
    probabilities: bool
    score_output: str = ""
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()


class ImagesInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Which pictures: where from, their size, how many were given and how many of them the classifier got right.

    ``labelled`` is false where nobody said what they show, so that the classifier's own answers were taken for it.
    """

    path: str
    height: int
    width: int
    channels: int
    given: int
    right: int
    labelled: bool


class ScanDescription(msgspec.Struct, frozen=True, kw_only=True):
    """scan.json: everything that the result depends on."""

    format_version: int
    seedtune_version: str
    created: str
    classifier: ClassifierInfo
    images: ImagesInfo
    settings: dict[str, Any]
    seed: int
    parameters: int
    machine: MachineInfo


class ImageRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A line of scan.jsonl: one picture that the classifier got right.

    ``queries`` were asked; ``step``, ``side``, ``after``, ``correlation`` and ``contrast`` are None where none was
    found. ``others`` are the answers of other classifiers to what was found.
    """

    place: int
    name: str
    label: int
    found: bool
    queries: int
    step: int | None = None
    side: int | None = None
    after: int | None = None
    correlation: float | None = None
    contrast: float | None = None
    others: tuple[int, ...] = ()


class TransferRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Another classifier shown what was found: of the originals that it gets right, how many it then gets wrong."""

    path: str
    sha256: str
    right: int
    fooled: int


class WhiteBoxRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What gradients add on the host.

    Attributes:
        kind: "pgd" (of the cross-entropy) or "cw" (of the margin).
        bound: how far a value goes, of 1.
        steps: of the descent.
        alone: share of the searched pictures that it fools the classifier with, from the untouched pictures.
        on_map: share that the search found, or gradients of its map within the same rules; None of an earlier version.
        on_top: share that it fools with from what these made of them, found or not.
        transfer_alone: of each other classifier, shown what fools alone.
        transfer: of each other classifier, shown what fools on top.
    """

    kind: str
    bound: float
    steps: int
    alone: float
    on_top: float
    on_map: float | None = None
    transfer_alone: tuple[TransferRecord, ...] = ()
    transfer: tuple[TransferRecord, ...] = ()


class ScanResult(msgspec.Struct, frozen=True, kw_only=True):
    """result.json.

    Attributes:
        images: that were searched: those the classifier gets right.
        found: of these.
        success: their share.
        accuracy_before: of the classifier on the pictures that were given; None without labels.
        queries_median: of the pictures that were found; None without any.
        queries: in all.
        seconds: of the search alone.
        queries_a_second: of the search.
        controls: name -> share of the same pictures: ``random``, ``inversion`` and ``pixels``.
        transfer: of each other classifier.
        white_box: what gradients add; None where nobody asked.
    """

    images: int
    found: int
    success: float
    accuracy_before: float | None
    queries_median: float | None
    queries: int
    seconds: float
    queries_a_second: float
    controls: dict[str, float]
    transfer: tuple[TransferRecord, ...] = ()
    white_box: WhiteBoxRecord | None = None


class ScanPrepared(msgspec.Struct, frozen=True, kw_only=True):
    """The classifier has answered to the untouched pictures."""

    images: ImagesInfo
    classifier: ClassifierInfo


class ScanStep(msgspec.Struct, frozen=True, kw_only=True):
    """A step was made: ``asked`` pictures, each twice; ``found`` so far of ``images``."""

    step: int
    steps: int
    asked: int
    found: int
    images: int
    loss: float


class ScanComparing(msgspec.Struct, frozen=True, kw_only=True):
    """What stands beside the result is being measured: ``what``."""

    what: str


class ScanFinished(msgspec.Struct, frozen=True, kw_only=True):
    """The folder is complete."""

    result: ScanResult
    path: str


ScanEvent = ScanPrepared | ScanStep | ScanComparing | ScanFinished
