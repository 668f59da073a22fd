"""``seedtune replay``: states back from journals, to the bit of a second reader."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import plain_reader
import pytest
from run_lab import call, last
from safetensors.numpy import load_file

import seedtune
from seedtune.runtime.errors import SeedTuneError

pytestmark = pytest.mark.traced


@pytest.mark.parametrize("name", ["plain", "other", "mean", "several", "probe"])
@pytest.mark.parametrize("until", [0, 4, 6])
def test_a_replay_is_bit_by_bit_that_of_the_second_reader(
    runs: dict[str, Path], tiny_bundle: Path, tmp_path: Path, name: str, until: int
) -> None:
    out = tmp_path / "state.safetensors"
    found = last(
        call("replay", runs[name] / "journal.bin", "--bundle", tiny_bundle, "--until", until, "--out", out, "--json")
    )
    journal = plain_reader.read((runs[name] / "journal.bin").read_bytes())
    start, offset = None, 0
    if name == "probe":
        tensors = load_file(runs[name] / "start.safetensors")
        start = np.concatenate([tensors[part].ravel() for part in ("weight", "bias", "scale")])
        offset = json.loads((tiny_bundle / "manifest.json").read_text())["state"]["head"]["offset"]
    expected = plain_reader.replay(journal, until, start, offset)
    assert load_file(out)["state"].tobytes() == expected.tobytes()
    assert (found["step"], found["parameters"]) == (until, len(expected))
    if until == 6:
        assert found["state_sha256"] == json.loads((runs[name] / "result.json").read_text())["state_sha256"]


def test_a_state_file_beside_its_bundle_is_the_tuned_model(
    runs: dict[str, Path], tiny_bundle: Path, tiny_data: SimpleNamespace, tmp_path: Path
) -> None:
    out = tmp_path / "state.safetensors"
    call("replay", runs["plain"], "--out", out)
    with seedtune.open(runs["plain"]) as run, seedtune.open(tiny_bundle, state=out) as given:
        assert given.step == run.step == 6
        assert given.state.sha256() == run.state.sha256()
        texts = [{"text": "a lovely film"}, {"text": "a dull song"}]
        assert given.predict(texts) == run.predict(texts)
        with pytest.raises(SeedTuneError, match="tuned before"):
            next(given.tune(tiny_data.train, out=tmp_path / "again"))
    assert last(call("eval", tiny_bundle, "--state", out, "--data", tiny_data.eval, "--json"))["step"] == 6
    with pytest.raises(SeedTuneError, match="states of its own"):
        call("eval", runs["plain"], "--state", out, "--data", tiny_data.eval)


def test_a_state_of_another_bundle_or_an_altered_one_is_refused(
    runs: dict[str, Path], tiny_bundle: Path, suffix_bundle: Path, tmp_path: Path
) -> None:
    out = tmp_path / "state.safetensors"
    call("replay", runs["plain"], "--out", out)
    with pytest.raises(SeedTuneError, match="another bundle"):
        seedtune.open(suffix_bundle, state=out)
    raw = bytearray(out.read_bytes())
    raw[-5] ^= 1
    out.write_bytes(raw)
    with pytest.raises(SeedTuneError, match="altered"):
        seedtune.open(tiny_bundle, state=out)


def test_what_cannot_be_replayed_leaves_no_file(
    runs: dict[str, Path], tiny_bundle: Path, suffix_bundle: Path, tmp_path: Path
) -> None:
    out = tmp_path / "state.safetensors"
    journal = runs["plain"] / "journal.bin"
    for arguments, words in (
        ((journal,), "where its bundle is"),
        ((journal, "--bundle", suffix_bundle), "another bundle"),
        ((journal, "--bundle", tiny_bundle, "--until", 7), "no such step"),
        ((runs["plain"], "--until", 7), "no such step"),
        ((tmp_path, "--bundle", tiny_bundle), "no journal"),
        ((tiny_bundle / "tokenizer.json", "--bundle", tiny_bundle), "not a journal"),
    ):
        with pytest.raises(SeedTuneError, match=words) as caught:
            call("replay", *arguments, "--out", out)
        assert caught.value.remedy
        assert not out.exists()
    alone = tmp_path / "journal.bin"
    shutil.copy(runs["probe"] / "journal.bin", alone)
    with pytest.raises(SeedTuneError, match="start of the run is missing"):
        call("replay", alone, "--bundle", tiny_bundle, "--out", out)
