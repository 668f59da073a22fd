"""What a scan finds fools the classifier, is what the seed says, and comes back from the journal."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
from scan_lab import layers_of, scores_by_hand, write_classifier

from seedtune.runtime.graphs.session import open_session
from seedtune.runtime.graphs.state import State
from seedtune.runtime.journal.file import read_journal
from seedtune.runtime.scan.records import ImageRecord
from seedtune.runtime.scan.search import replayed

ScanOf = Callable[..., SimpleNamespace]


def records(scan: SimpleNamespace) -> list[ImageRecord]:
    lines = (scan.path / "scan.jsonl").read_bytes().splitlines()
    return [msgspec.json.decode(line, type=ImageRecord) for line in lines]


def pictures(scan: SimpleNamespace) -> dict[str, np.ndarray]:
    with np.load(scan.path / "pictures.npz", allow_pickle=False) as arrays:
        return dict(arrays)


def test_every_picture_that_was_found_fools_the_net_and_keeps_what_it_must(
    lab: SimpleNamespace, whole: SimpleNamespace
) -> None:
    found = pictures(whole)
    lines = [record for record in records(whole) if record.found]
    assert len(found["images"]) == len(lines) == whole.result.found > 300
    after = found["images"].reshape(-1, 64) / 255
    before = found["originals"].reshape(-1, 64) / 255
    scores = scores_by_hand(lab.layers, after)
    for row, record in enumerate(lines):
        np.testing.assert_allclose(before[row], lab.values[record.place], atol=1e-6)
        assert record.label == lab.labels[record.place] == found["labels"][row]
        assert scores[row].argmax() == record.after != record.label
        assert np.corrcoef(before[row], after[row])[0, 1] == pytest.approx(record.correlation, abs=1e-4)
        assert record.correlation is not None
        assert record.correlation >= 0.8 - 1e-4
        assert after[row].std() >= 0.3 * before[row].std() - 1e-4
        for value in np.unique(before[row]):
            assert len(np.unique(after[row][before[row] == value])) == 1


def test_only_what_the_net_gets_right_is_searched_and_every_query_is_counted(
    lab: SimpleNamespace, whole: SimpleNamespace
) -> None:
    right = np.flatnonzero(scores_by_hand(lab.layers, lab.values).argmax(1) == lab.labels)
    assert [record.place for record in records(whole)] == right.tolist()
    assert whole.result.accuracy_before == pytest.approx(len(right) / len(lab.labels))
    assert whole.result.queries == sum(record.queries for record in records(whole))
    assert max(record.queries for record in records(whole)) <= 60


def test_the_journal_alone_makes_every_state_and_every_picture_again(whole: SimpleNamespace) -> None:
    journal = read_journal(whole.path / "journal.bin")
    session = open_session(whole.path / "graphs" / "update.onnx")
    findings = replayed(journal, State(session, journal.header.state_parameters, journal.header.groups))
    lines = records(whole)
    assert findings.step.tolist() == [record.step or 0 for record in lines]
    at = np.flatnonzero(~findings.open)
    assert findings.side[at].tolist() == [record.side for record in lines if record.found]
    found = pictures(whole)
    values = found["originals"].reshape(-1, 64).astype(np.float32) / np.float32(255)
    (again,) = open_session(whole.path / "graphs" / "apply.onnx").run(
        ["pictures"], {"image": values, "state": findings.states[at]}
    )
    np.testing.assert_array_equal(np.round(again * 255).astype(np.uint8), found["images"].reshape(-1, 64))


def test_the_same_seed_finds_the_same_bits_and_another_one_others(whole: SimpleNamespace, scan_of: ScanOf) -> None:
    again, other = scan_of(seed=3), scan_of(seed=4)
    journals = [(scan.path / "journal.bin").read_bytes() for scan in (whole, again, other)]
    assert journals[0] == journals[1] != journals[2]
    assert records(again) == records(whole) != records(other)


def test_what_fits_into_a_call_changes_nothing_that_is_found(whole: SimpleNamespace, scan_of: ScanOf) -> None:
    few = scan_of(seed=3, images_per_call=14)
    assert [(record.place, record.step, record.side) for record in records(few)] == [
        (record.place, record.step, record.side) for record in records(whole)
    ]


def test_a_margin_takes_more_queries_and_fools_others_more(
    lab: SimpleNamespace, scan_of: ScanOf, tmp_path: Path
) -> None:
    other = write_classifier(tmp_path / "other.onnx", layers_of("linear"), shape=(64,), probabilities=True)
    near, far = (scan_of(margin=margin, queries=200, correlation=0.5, transfer=[other]) for margin in (1e-3, 6.0))
    assert near.result.queries < far.result.queries
    shares = [scan.result.transfer[0].fooled / scan.result.transfer[0].right for scan in (near, far)]
    assert shares[1] > shares[0] + 0.1
    (fooled,) = {record.others for record in records(far)[:1]}
    assert len(fooled) == 1


def test_random_search_inversion_and_single_pixels_stand_beside_the_result(whole: SimpleNamespace) -> None:
    controls = whole.result.controls
    assert whole.result.success > controls["random"] > 0
    assert controls["inversion"] > 0.5
    assert 0 < controls["pixels"] < 1


def test_patterns_find_pictures_that_differ_by_more_than_a_curve(lab: SimpleNamespace, scan_of: ScanOf) -> None:
    scan = scan_of(attack="spa", patterns=4)
    assert scan.result.success > 0.5
    found = pictures(scan)
    after, before = (found[name].reshape(-1, 64) / 255 for name in ("images", "originals"))
    scores = scores_by_hand(lab.layers, after)
    assert (scores.argmax(1) != found["labels"]).all()
    # Within a pattern (a quarter of the bytes) a curve still has equal pixels equal.
    for row in range(len(after)):
        for value in np.unique(before[row]):
            assert len(np.unique(after[row][before[row] == value])) == 1


def test_probabilities_are_told_apart_from_other_scores(lab: SimpleNamespace, scan_of: ScanOf, tmp_path: Path) -> None:
    soft = write_classifier(tmp_path / "soft.onnx", lab.layers, probabilities=True, kind="uint8", shape=(8, 8, 1))
    scan = scan_of(soft, seed=3)
    description = msgspec.json.decode((scan.path / "scan.json").read_bytes())
    assert description["classifier"]["probabilities"] is True
    assert description["classifier"]["kind"] == "uint8"
    assert scan.result.success > 0.7


def test_a_scan_needs_no_torch() -> None:
    code = (
        "import sys, seedtune, seedtune.exporter.onnx_source.scan_graphs, seedtune._scan; "
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    import sys

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
