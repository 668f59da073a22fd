"""`seedtune push` through the hub's own client to a stand-in of the hub: what is sent, and that nothing else is."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from cli_lab import last_json, refused
from hub_standin import COMMIT, TOKEN, Hub, hub

from seedtune.runtime.bundle.reader import Bundle

REPOSITORY = "ada/reviews"


@pytest.fixture
def standin() -> Iterator[Hub]:
    with hub() as found:
        yield found


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """A folder as `seedtune adapter` writes one."""
    folder = tmp_path / "adapter"
    folder.mkdir()
    (folder / "adapter_config.json").write_text('{"r": 4}')
    (folder / "adapter_model.safetensors").write_bytes(bytes(range(256)) * 40)
    return folder


def push(
    entry_point: list[str],
    standin: Hub,
    run: Path,
    *arguments: object,
    token: str | None = TOKEN,
    repo: str = REPOSITORY,
) -> subprocess.CompletedProcess[str]:
    """The command, in a process whose hub is the stand-in and that knows no other token."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    home = str(run.parent / "home")
    own = {"HF_ENDPOINT": standin.url, "HF_HOME": home, "HF_HUB_DISABLE_XET": "1", "NO_COLOR": "1", "COLUMNS": "120"}
    own |= {} if token is None else {"HF_TOKEN": token}
    command = [*entry_point, "push", str(run), repo, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=kept | own, timeout=120)


def test_without_the_flag_nothing_is_sent_and_everything_is_listed(
    entry_point: list[str], standin: Hub, finished_run: SimpleNamespace, adapter: Path
) -> None:
    done = push(entry_point, standin, finished_run.path, "--with", adapter, "--json", token=None)
    assert done.returncode == 0, done.stderr
    told = last_json(done)
    assert (told["uploaded"], told["url"]) == (False, None)
    assert list(told["files"]) == ["README.md", "adapter_config.json", "adapter_model.safetensors"]
    assert told["files"]["adapter_model.safetensors"] == 256 * 40
    assert told["size_bytes"] == sum(told["files"].values())
    assert "--yes-upload" in done.stderr
    assert "10,240" in done.stderr
    assert standin.calls == []


def test_what_is_sent_is_the_card_and_the_files_to_the_byte(
    entry_point: list[str], standin: Hub, finished_run: SimpleNamespace, adapter: Path
) -> None:
    (adapter / "README.md").write_text("an older card")
    done = push(
        entry_point, standin, finished_run.path, "--with", adapter, "--license", "apache-2.0", "--yes-upload", "--json"
    )
    assert done.returncode == 0, done.stderr
    assert last_json(done)["url"] == f"{standin.url}/{REPOSITORY}/commit/{COMMIT}"
    assert standin.repositories[REPOSITORY]["visibility"] == "private"
    sent = {name: raw for (repository, name), raw in standin.files.items() if repository == REPOSITORY}
    assert sorted(sent) == ["README.md", "adapter_config.json", "adapter_model.safetensors"]
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        assert sent[name] == (adapter / name).read_bytes()
    card = sent["README.md"].decode()
    assert card.startswith("---\n")
    assert '"apache-2.0"' in card
    # No text of a row, though predictions with them lie in the RUN folder.
    rows = (finished_run.path / "predictions_best.jsonl").read_text()
    assert "lovely" in rows
    assert all(b"lovely" not in raw for raw in sent.values())


def test_of_a_bundle_only_what_its_manifest_lists_is_sent(
    entry_point: list[str], standin: Hub, finished_run: SimpleNamespace, tiny_bundle: Path
) -> None:
    done = push(entry_point, standin, finished_run.path, "--with", tiny_bundle, "--public", "--yes-upload")
    assert done.returncode == 0, done.stderr
    assert standin.repositories[REPOSITORY]["visibility"] == "public"
    listed = {"README.md", "manifest.json", *Bundle.open(tiny_bundle).manifest.files}
    assert {name for _, name in standin.files} == listed


def test_what_is_not_for_others_is_refused_before_anything_is_sent(
    entry_point: list[str], standin: Hub, finished_run: SimpleNamespace, adapter: Path, tmp_path: Path
) -> None:
    run = finished_run.path
    refused(push(entry_point, standin, run, "--with", run, "--yes-upload"), "RUN folder", "rows")
    (tmp_path / "other").mkdir()
    refused(
        push(entry_point, standin, run, "--with", tmp_path / "other", "--yes-upload"), "nothing that SeedTune wrote"
    )
    (adapter / "secret").symlink_to(run / "run.json")
    refused(push(entry_point, standin, run, "--with", adapter, "--yes-upload"), "secret", "plain file")
    refused(push(entry_point, standin, run, repo="no owner"), "owner/name")
    refused(push(entry_point, standin, tmp_path / "gone"), "gone")
    assert standin.calls == []


def test_without_token_without_hub_and_against_its_will_there_are_words(
    entry_point: list[str], standin: Hub, finished_run: SimpleNamespace
) -> None:
    run = finished_run.path
    refused(push(entry_point, standin, run, "--yes-upload", token=None), "no token", "hf auth login")
    assert standin.calls == []
    refused(push(entry_point, standin, run, "--yes-upload", token="hf_wrong"), "HTTP 401", "HF_TOKEN")
    standin.refuses = 403
    refused(push(entry_point, standin, run, "--yes-upload"), "HTTP 403", "hub refuses")
    nowhere = Hub(url="http://127.0.0.1:9")
    refused(push(entry_point, nowhere, run, "--yes-upload"), "cannot be reached", "HF_ENDPOINT")
