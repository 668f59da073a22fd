"""A model on the Hugging Face hub: the files that a folder needs, and no others, into the hub's own cache.

A repository often holds one model in four formats; only safetensors is fetched, or .bin where there is none.
Every wait is bounded: a hub that cannot be reached is an error with a remedy, not a terminal that hangs.
"""

from __future__ import annotations

import re
from pathlib import Path

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import (  # type: ignore[attr-defined]
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    HTTPError,  # httpx's, under whichever name this version of the hub imports it
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)

from seedtune.exporter.checkpoint.foreign import refuse_adapter_files
from seedtune.exporter.checkpoint.tokenizer import VOCABULARY_FILES
from seedtune.runtime.errors import SeedTuneError

TIMEOUT_SECONDS = 20.0
SMALL_FILES = frozenset(
    {
        *VOCABULARY_FILES,
        "added_tokens.json",
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "merges.txt",
        "special_tokens_map.json",
        "tokenizer_config.json",
    }
)
SAFETENSORS = re.compile(r"model(-\d+-of-\d+)?\.safetensors(\.index\.json)?")
PICKLE = re.compile(r"pytorch_model(-\d+-of-\d+)?\.bin(\.index\.json)?")


def download_model(name: str) -> Path:
    """The local folder of the hub's model ``name`` (``organisation/model``), downloaded or cached.

    The hub is asked first; if it cannot be reached, a complete copy in the cache is used.

    Raises:
        SeedTuneError: if the hub cannot be reached and the cache lacks the model, if the hub does not know or
            show it, or if the repository holds no weights that SeedTune reads.
    """
    try:
        listing = HfApi().model_info(name, timeout=TIMEOUT_SECONDS).siblings or []
        wanted = wanted_files([sibling.rfilename for sibling in listing], name)
        return Path(snapshot_download(name, allow_patterns=wanted, etag_timeout=TIMEOUT_SECONDS))
    except GatedRepoError as error:
        raise SeedTuneError(
            "the hub shows this model only to those who accepted its terms",
            value=name,
            rule="a token of an account with access",
            remedy=f"accept its terms at https://huggingface.co/{name}, then run hf auth login",
        ) from error
    except RepositoryNotFoundError as error:
        raise SeedTuneError(
            "the hub has no such model, or it is private",
            value=name,
            rule="organisation/model as on huggingface.co",
            remedy="check the spelling; for a private model run: hf auth login (or set HF_TOKEN)",
        ) from error
    except HFValidationError as error:
        raise SeedTuneError("this is not the id of a model on the hub", value=name, rule=str(error)) from error
    except (HfHubHTTPError, HTTPError, LocalEntryNotFoundError, OSError) as error:
        return _cached(name, error)


def wanted_files(listing: list[str], name: str) -> list[str]:
    """Those of a repository's files that a model folder needs: one weight format, configuration, tokenizer.

    Raises:
        SeedTuneError: if there are no weights in a format that SeedTune reads, or an adapter beside them.
    """
    weights = [file for file in listing if SAFETENSORS.fullmatch(file)]
    weights = weights or [file for file in listing if PICKLE.fullmatch(file)]
    if not weights:
        ggufs = [file for file in listing if file.endswith(".gguf")]
        raise SeedTuneError(
            "the repository holds no weights that SeedTune reads",
            value=ggufs or listing[:12],
            rule="model.safetensors or pytorch_model.bin, whole or in shards",
            remedy=f"run: hf download {name} {ggufs[0]} and name the file that it prints"
            if ggufs
            else "choose another model",
        )
    try:
        refuse_adapter_files(listing, whole=True, file=name)
    except SeedTuneError as error:
        raise error.at(name, remedy=f"run: hf download {name} --local-dir FOLDER; there, {error.remedy}") from None
    return weights + [file for file in listing if file in SMALL_FILES]


def _cached(name: str, reason: BaseException) -> Path:
    """The cache's copy of a model that the hub cannot be asked about."""
    try:
        folder = Path(snapshot_download(name, local_files_only=True))
    except (LocalEntryNotFoundError, OSError, ValueError):
        first = (str(reason).strip().splitlines() or [type(reason).__name__])[0]
        raise SeedTuneError(
            "the Hugging Face hub cannot be reached, and its cache does not hold this model",
            value=f"{name}: {first}",
            rule="a network connection, or a model that was downloaded before",
            remedy="check the connection and HF_HUB_OFFLINE; or copy the model's folder here and give its "
            "path; or use the embedded smollm2-135m-instruct, which comes from PyPI",
        ) from reason
    return folder
