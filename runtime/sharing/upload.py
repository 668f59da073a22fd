"""Sends files to the Hugging Face hub, in one commit, through its own client; knows nothing of runs."""

from __future__ import annotations

from typing import Any

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.extras import import_extra
from seedtune.runtime.sharing.contents import CARD, Contents

EXTRA, PURPOSE = "share", "uploading"
MESSAGE = "Uploaded with seedtune push"
LOGIN = "log in with: hf auth login, or set HF_TOKEN to a token that may write"


def require_repository(name: str) -> None:
    """Raises SeedTuneError unless ``name`` is one that the hub takes, with its owner."""
    hub = import_extra("huggingface_hub.utils", EXTRA, PURPOSE)
    try:
        hub.validate_repo_id(name)
        valid = name.count("/") == 1
    except hub.HFValidationError:
        valid = False
    if not valid:
        raise SeedTuneError(
            "this is no name of a repository",
            value=name,
            rule="owner/name, of letters, digits, - _ and .",
            remedy="write it as the hub does, such as ada/reviews-smollm2",
        )


def upload(contents: Contents, repository: str, *, public: bool) -> str:
    """Puts everything into ``repository`` of the hub, which is made if it is not there; returns its address.

    Args:
        contents: what.
        repository: owner/name.
        public: whether a repository that is made is for everybody; one that is there stays as it is.

    Raises:
        SeedTuneError: there is no token, the hub cannot be reached or refuses, or a file cannot be read.
    """
    hub = import_extra("huggingface_hub", EXTRA, PURPOSE)
    errors = import_extra("huggingface_hub.errors", EXTRA, PURPOSE)
    if hub.get_token() is None:
        raise SeedTuneError("the hub takes files only from who is known to it, and there is no token", remedy=LOGIN)
    files: dict[str, Any] = {CARD: contents.card.encode(), **contents.files}
    api = hub.HfApi(library_name="seedtune")
    try:
        api.create_repo(repository, private=not public, exist_ok=True)
        operations = [hub.CommitOperationAdd(name, file) for name, file in files.items()]
        commit = api.create_commit(repository, operations, commit_message=MESSAGE)
        return str(commit.commit_url)
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        known = status not in (401, 403)
        raise SeedTuneError(
            f"the hub refuses: {_sentence(error)}",
            value=f"{repository} (HTTP {status})",
            remedy="try again later, or another repository" if known else LOGIN,
        ) from error
    except (errors.HTTPError, OSError) as error:
        # HTTPError is that of the client's own library: no answer at all.
        raise SeedTuneError(
            f"the hub cannot be reached ({_sentence(error)})",
            value=api.endpoint,
            rule="a network, and HF_ENDPOINT unset or the address of a hub",
            remedy="check the network and try again: what was sent is not sent twice",
        ) from error


def _sentence(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200] if lines else type(error).__name__
