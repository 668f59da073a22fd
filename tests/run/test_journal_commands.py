"""``seedtune journal``: what stands in journals, whether it holds, and the sums and means of states."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import plain_reader
import pytest
from run_lab import Tune, call, last
from safetensors.numpy import load_file

import seedtune
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.model.tuned import open_tuned

pytestmark = pytest.mark.traced


def test_states_are_added_and_averaged_whatever_their_order(runs: dict[str, Path], tmp_path: Path) -> None:
    names = ("plain", "other", "mean")
    states = [open_tuned(runs[name]).state.values.astype(np.float64) for name in names]
    for command, expected in (("concat", sum(states)), ("average", sum(states) / 3)):
        found = []
        for number, order in enumerate(((0, 1, 2), (2, 0, 1), (1, 2, 0))):
            out = tmp_path / f"{command}-{number}.safetensors"
            call("journal", command, *(runs[names[place]] for place in order), "--out", out)
            found.append(load_file(out)["state"])
        assert found[0].tobytes() == found[1].tobytes() == found[2].tobytes()
        np.testing.assert_allclose(found[0], expected, atol=1e-7)
    out = tmp_path / "weighted.safetensors"
    call("journal", "average", runs["plain"], runs["other"], "--weights", "3,1", "--out", out)
    np.testing.assert_allclose(load_file(out)["state"], (3 * states[0] + states[1]) / 4, atol=1e-7)
    # Different starts have a mean all the same.
    call("journal", "average", runs["plain"], runs["probe"], "--out", out)


def test_adding_is_what_one_run_would_be_whose_steps_were_both_runs(runs: dict[str, Path], tiny_bundle: Path) -> None:
    from seedtune.runtime.model.combining import added

    first, second = (open_tuned(runs[name]) for name in ("plain", "several"))
    assert first.journal is not None
    assert second.journal is not None
    together = open_tuned(runs["plain"]).state
    together.apply(second.journal.seeds(), second.journal.records["coefficient"])
    np.testing.assert_allclose(added([first, second]).values, together.values, atol=1e-6)


@pytest.mark.parametrize(
    ("command", "names", "options", "words"),
    [
        ("concat", ("plain",), (), "nothing to combine"),
        ("concat", ("plain", "plain"), (), "twice"),
        ("average", ("plain", "plain"), (), "twice"),
        ("concat", ("plain", "probe"), (), "different states"),
        ("average", ("plain", "other"), ("--weights", "1"), "not those of the runs"),
        ("average", ("plain", "other"), ("--weights", "1,-1"), "not those of the runs"),
        ("average", ("plain", "other"), ("--weights", "a,b"), "no numbers"),
    ],
)
def test_what_cannot_be_combined_is_refused_with_the_reason(
    runs: dict[str, Path], tmp_path: Path, command: str, names: tuple[str, ...], options: tuple[str, ...], words: str
) -> None:
    out = tmp_path / "state.safetensors"
    with pytest.raises(SeedTuneError, match=words) as caught:
        call("journal", command, *(runs[name] for name in names), *options, "--out", out)
    assert caught.value.remedy
    assert not out.exists()


def test_runs_of_different_bundles_are_not_combined(
    runs: dict[str, Path], suffix_bundle: Path, tiny_data: SimpleNamespace, tmp_path: Path
) -> None:
    with seedtune.open(suffix_bundle, threads=1) as model:
        for _ in model.tune(tiny_data.train, out=tmp_path / "run", steps=1, batch_size=4, held_out_rows=0):
            pass
    with pytest.raises(SeedTuneError, match="different bundles"):
        call("journal", "average", runs["plain"], tmp_path / "run", "--out", tmp_path / "state.safetensors")


def test_a_compact_journal_ends_at_the_best_state_and_makes_it(
    tune_tiny: Tune, tiny_bundle: Path, tmp_path: Path
) -> None:
    tune_tiny(tmp_path / "run", steps=8, learning_rate=3.0, eval_every=2)
    best = open_tuned(tmp_path / "run")
    # Steps that large overshoot, or there would be nothing to leave out.
    assert best.step < 8
    small = tmp_path / "small.bin"
    torn = tmp_path / "run" / "journal.bin"
    whole = torn.read_bytes()
    torn.write_bytes(whole + b"torn")
    assert last(call("journal", "compact", tmp_path / "run", "--out", small, "--json"))["steps"] == best.step
    assert small.read_bytes() == whole[: len(small.read_bytes())]
    out = tmp_path / "state.safetensors"
    found = last(call("replay", small, "--bundle", tiny_bundle, "--out", out, "--json"))
    assert found["state_sha256"] == best.state.sha256()
    with pytest.raises(SeedTuneError, match="a file already"):
        call("journal", "compact", tmp_path / "run", "--out", small)
    with pytest.raises(SeedTuneError, match="no such step"):
        call("journal", "compact", tmp_path / "run", "--out", tmp_path / "x.bin", "--until", 9)


def test_verify_replays_and_finds_what_was_altered(runs: dict[str, Path], tiny_bundle: Path, tmp_path: Path) -> None:
    told = json.loads((runs["plain"] / "result.json").read_text())["state_sha256"]
    assert last(call("journal", "verify", runs["plain"], "--json"))["state_sha256"] == told
    assert last(call("journal", "verify", runs["plain"] / "journal.bin", "--json"))["state_sha256"] is None
    over = call("journal", "verify", runs["plain"] / "journal.bin", "--bundle", tiny_bundle, "--json")
    assert last(over)["state_sha256"] == told
    spoilt = tmp_path / "run"
    shutil.copytree(runs["plain"], spoilt)
    result = json.loads((spoilt / "result.json").read_text())
    (spoilt / "result.json").write_text(json.dumps(result | {"state_sha256": "0" * 64}))
    with pytest.raises(SeedTuneError, match="another state"):
        call("journal", "verify", spoilt)
    raw = bytearray((spoilt / "journal.bin").read_bytes())
    raw[-10] ^= 1
    (spoilt / "journal.bin").write_bytes(raw)
    with pytest.raises(SeedTuneError, match="altered"):
        call("journal", "verify", spoilt)


def test_diff_says_where_two_journals_part(runs: dict[str, Path], tune_tiny: Tune, tmp_path: Path) -> None:
    same = call("journal", "diff", runs["plain"], runs["plain"], "--json")
    assert same.exit_code == 0
    assert last(same)["same"] is True
    tune_tiny(tmp_path / "long", steps=4)
    tune_tiny(tmp_path / "short", steps=3)
    found = call("journal", "diff", tmp_path / "long", tmp_path / "short", "--json")
    assert found.exit_code == 2
    parts = last(found)
    assert parts["steps"] == [4, 3]
    assert parts["fields"] == {"settings.steps": [4, 3]}
    other = last(call("journal", "diff", runs["plain"], runs["several"], "--json"))
    assert other["first_step"] == 1
    assert other["fields"]["records_per_step"] == [1, 3]


def test_show_says_what_a_journal_is_of(runs: dict[str, Path], tiny_bundle: Path) -> None:
    done = call("journal", "show", runs["several"], "--steps", 2, "--json")
    found = last(done)
    assert (found["steps"], found["records_per_step"], found["run_seed"]) == (6, 3, 8)
    journal = plain_reader.read((runs["several"] / "journal.bin").read_bytes())
    assert "steps: 6" in done.stdout
    assert f"coefficient {journal.records[-1, 0]:.6g}" in done.stdout.splitlines()[-2]


def test_the_second_reader_finds_damage_too(runs: dict[str, Path]) -> None:
    raw = bytearray((runs["plain"] / "journal.bin").read_bytes())
    raw[-20] ^= 4
    with pytest.raises(ValueError, match="record"):
        plain_reader.read(bytes(raw))
