"""A scan from pictures to its folder: what the classifier gets right is searched, journalled, verified and compared."""

from __future__ import annotations

import datetime
import time
from collections.abc import Generator
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from seedtune.runtime.batches.types import Integers
from seedtune.runtime.files import new_folder, sha256_of, write_durably
from seedtune.runtime.graphs.session import open_session
from seedtune.runtime.graphs.state import State
from seedtune.runtime.journal.file import JournalWriter
from seedtune.runtime.journal.format import Header
from seedtune.runtime.scan import records as scan
from seedtune.runtime.scan.answers import Answers
from seedtune.runtime.scan.applied import Applied
from seedtune.runtime.scan.asked import Asked, Writers, opened
from seedtune.runtime.scan.chosen import choose
from seedtune.runtime.scan.compared import compared
from seedtune.runtime.scan.feeder import ImageFeeder
from seedtune.runtime.scan.graph import ScanGraph
from seedtune.runtime.scan.images import Images, in_bytes, save_pictures
from seedtune.runtime.scan.others import open_others
from seedtune.runtime.scan.patterns import patterns_of
from seedtune.runtime.scan.search import Findings, Search
from seedtune.runtime.scan.verified import verified, with_others
from seedtune.runtime.scan.white_box import white_boxed
from seedtune.runtime.telemetry.this_machine import this_machine
from seedtune.runtime.vectors import encode_tensors

# Pictures on which a classifier with gradients is held against the file.
FEW = 8

Events = Generator[scan.ScanEvent, None, Any]


def made(asked: Asked, out: Path, write: Writers) -> Events:
    """Makes the SCAN folder ``out``, which is there when the last event comes, and not before.

    Raises:
        SeedTuneError: the classifier cannot be run, gets no picture right, or the folder is there.
    """
    settings = asked.settings
    with new_folder(out) as folder:
        applied, answers = opened(asked.classifier, folder / scan.GRAPHS_FOLDER, asked, write)
        scores = applied.untouched(asked.images.values)
        probabilities = bool((scores >= 0).all() and np.allclose(scores.sum(1, dtype=np.float64), 1, atol=1e-3))
        write.loss(folder / scan.GRAPHS_FOLDER, probabilities)
        images, right, info = choose(asked.images, asked.images_path, scores, asked.classifier.path)
        classifier = scan.ClassifierInfo(
            path=str(asked.classifier.path),
            sha256=sha256_of(asked.classifier.path),
            order=asked.classifier.order,
            kind=asked.classifier.kind,
            classes=scores.shape[1],
            probabilities=probabilities,
            score_output=asked.classifier.score_output,
            mean=asked.mean,
            deviation=asked.deviation,
        )
        description = scan.ScanDescription(
            format_version=scan.FORMAT_VERSION,
            seedtune_version=metadata.version("seedtune"),
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            classifier=classifier,
            images=info,
            settings=settings.flat(),
            seed=settings.seed,
            parameters=applied.parameters,
            machine=this_machine(),
        )
        _write(folder / scan.SCAN_FILE, description)
        yield scan.ScanPrepared(images=info, classifier=classifier)
        patterns = patterns_of(images, settings.patterns) if settings.attack == "spa" else None
        feeder = ImageFeeder(images.values, images.labels, patterns)
        _save_searched(folder / scan.SEARCHED_FILE, images, patterns)
        findings, seconds, queries = yield from _searched(asked, folder, feeder, applied, answers, classifier.sha256)
        records, pictures = verified(applied, feeder, findings, images, right, settings.steps)
        found = images.chosen(np.flatnonzero([record.found for record in records]))
        save_pictures(folder / scan.PICTURES_FILE, found, pictures)
        controls = yield from compared(asked, folder, feeder, applied, answers, probabilities, write)
        if asked.others:
            yield scan.ScanComparing(what="what was found, shown to the others")
        others = open_others(asked, folder / scan.GRAPHS_FOLDER, write)
        shown = [other.shown(found, pictures) for other in others]
        white_box = None
        if settings.also is not None:
            yield scan.ScanComparing(what=f"{settings.also} within {settings.norm_bound:g}")
            gradients = write.gradients(asked.classifier, images.values[:FEW], scores[right][:FEW], probabilities)
            white_box, attacked, fools = white_boxed(gradients, applied, feeder, images, findings, settings, others)
            places = np.flatnonzero(fools)
            save_pictures(folder / scan.WHITE_BOX_FILE, images.chosen(places), attacked[places], places=places)
        records = with_others(records, [said for _, said in shown])
        lines = b"".join(msgspec.json.encode(record) + b"\n" for record in records)
        write_durably(folder / scan.LINES_FILE, lines)
        of_found = [record.queries for record in records if record.found]
        result = scan.ScanResult(
            images=len(records),
            found=len(of_found),
            success=len(of_found) / len(records),
            accuracy_before=len(records) / info.given if info.labelled else None,
            queries_median=float(np.median(of_found)) if of_found else None,
            queries=queries,
            seconds=seconds,
            queries_a_second=queries / seconds,
            controls=controls,
            transfer=tuple(record for record, _ in shown),
            white_box=white_box,
        )
        _write(folder / scan.RESULT_FILE, result)
    yield scan.ScanFinished(result=result, path=str(out))


def _searched(
    asked: Asked, folder: Path, feeder: ImageFeeder, applied: Applied, answers: Answers, sha256: str
) -> Generator[scan.ScanEvent, None, tuple[Findings, float, int]]:
    """The findings, and the seconds and queries that they took."""
    settings, graphs = asked.settings, folder / scan.GRAPHS_FOLDER
    flat, groups = settings.flat(), len(feeder)
    state = State(open_session(graphs / "update.onnx", asked.threads), applied.parameters, groups)
    started, before = time.perf_counter(), answers.queries
    header = Header(settings.seed, applied.parameters, groups, 1, sha256, flat)
    with JournalWriter.create(folder / scan.JOURNAL_FILE, header) as journal:
        search = Search(
            ScanGraph(graphs, answers, asked.threads),
            feeder,
            state,
            settings=flat,
            seed=settings.seed,
            images_per_call=settings.images_per_call,
            record=journal.begin,
        )
        for each in search.run():
            yield scan.ScanStep(
                step=each.step,
                steps=settings.steps,
                asked=each.asked,
                found=each.found,
                images=groups,
                loss=each.loss,
            )
    return search.findings, time.perf_counter() - started, answers.queries - before


def _write(path: Path, record: msgspec.Struct) -> None:
    write_durably(path, msgspec.json.format(msgspec.json.encode(record)) + b"\n")


def _save_searched(path: Path, images: Images, patterns: Integers | None) -> None:
    """What the journal is about: with it and the graphs the search can be made again, here or on a phone."""
    tensors: dict[str, npt.NDArray[Any]] = {
        "pictures": in_bytes(images.values),
        "labels": images.labels.astype(np.int64),
    }
    if patterns is not None:
        tensors["patterns"] = patterns
    write_durably(path, encode_tensors(tensors))
