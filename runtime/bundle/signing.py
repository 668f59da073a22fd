"""A bundle signed by whoever made it: ed25519 (RFC 8032) over the hash of its manifest, which lists all other hashes.

``signature.json`` lies beside the manifest and is in no list, so that a bundle is the same bundle before and after.
What is signed is the text ``seedtune bundle 1`` and the manifest's SHA-256, so that a signature of something else
cannot be taken for one of a bundle.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from pathlib import Path
from typing import Any

import msgspec

from seedtune.runtime.bundle.manifest import MANIFEST
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.decoding import decoded, read_plain_file
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.extras import import_extra
from seedtune.runtime.files import require_writable, write_durably

SIGNATURE = "signature.json"
ALGORITHM, PURPOSE = "ed25519", "seedtune bundle 1"
KEY_BYTES = 32
REMEDY = "ask whoever gave you the bundle for a signature, or for the bundle again"


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What ``signature.json`` holds; keys and signatures in base64."""

    format_version: int
    algorithm: str
    manifest_sha256: str
    public_key: str
    signature: str


def make_keys(path: Path) -> str:
    """Writes a new private key to ``path`` (PEM, readable by its owner only) and the public one to ``path`` + .pub.

    Returns:
        The fingerprint.

    Raises:
        SeedTuneError: there is a file already, or cryptography is not installed.
    """
    ed25519, serialization = _cryptography()
    public_path = path.with_name(path.name + ".pub")
    for each in (path, public_path):
        if each.exists():
            raise SeedTuneError("there is a file already", file=each, rule="a new file", remedy="choose another name")
        require_writable(each)
    key = ed25519.Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(private)
    public = key.public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    write_durably(public_path, pem)
    return fingerprint(public.public_bytes_raw())


def sign(bundle: Bundle, key_path: Path) -> str:
    """Signs ``bundle``, verified, with the private key in ``key_path`` and returns the key's fingerprint.

    Raises:
        SeedTuneError: the key cannot be read, or the folder cannot be written.
    """
    ed25519, serialization = _cryptography()
    raw = read_plain_file(key_path, "the key", "give the private key that seedtune bundle keys wrote")
    try:
        key = serialization.load_pem_private_key(raw, None)
    except (TypeError, ValueError) as error:
        raise _no_key(key_path, "a private key of ed25519 in PEM, without a password") from error
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise _no_key(key_path, "a private key of ed25519")
    public = key.public_key().public_bytes_raw()
    found = Signature(1, ALGORITHM, bundle.sha256, _base64(public), _base64(key.sign(_message(bundle.sha256))))
    write_durably(bundle.path / SIGNATURE, msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
    return fingerprint(public)


def verify_signature(bundle: Bundle, public_path: Path | None = None) -> str:
    """Checks the signature of ``bundle``, every file of which has been verified, and returns the key's fingerprint.

    Args:
        bundle: verified.
        public_path: the public key that it must be signed with; None for any key, which proves nothing of who it was.

    Raises:
        SeedTuneError: there is no signature, it is of another manifest or by another key, or it does not hold.
    """
    ed25519, serialization = _cryptography()
    path = bundle.path / SIGNATURE
    if not path.is_file():
        raise SeedTuneError("the bundle is not signed", file=bundle.path, rule=f"a file {SIGNATURE}", remedy=REMEDY)
    rule = "a signature as seedtune bundle sign writes it"
    raw = read_plain_file(path, "the signature", REMEDY)
    found = decoded(raw, Signature, path, "the signature cannot be read", rule, REMEDY)
    if found.format_version != 1 or found.algorithm != ALGORITHM:
        raise SeedTuneError(
            "the signature is of a kind that this version does not know",
            file=path,
            value=f"{found.algorithm}, version {found.format_version}",
            rule=f"{ALGORITHM}, version 1",
            remedy="upgrade seedtune",
        )
    if found.manifest_sha256 != bundle.sha256:
        raise SeedTuneError(
            f"{MANIFEST} is not the one that was signed",
            file=bundle.path / MANIFEST,
            value=f"SHA-256 {bundle.sha256}",
            rule=found.manifest_sha256,
            remedy=REMEDY,
        )
    public = _unbase64(found.public_key, path)
    if public_path is not None and public != _public_key(public_path, ed25519, serialization):
        raise SeedTuneError(
            "the bundle is signed with another key",
            file=path,
            value=fingerprint(public),
            rule=f"the key in {public_path}",
            remedy=REMEDY,
        )
    invalid = import_extra("cryptography.exceptions", "sign", "a signature").InvalidSignature
    try:
        ed25519.Ed25519PublicKey.from_public_bytes(public).verify(
            _unbase64(found.signature, path), _message(found.manifest_sha256)
        )
    except (invalid, ValueError) as error:
        raise SeedTuneError(
            "the signature does not hold", file=path, value=fingerprint(public), rule=rule, remedy=REMEDY
        ) from error
    return fingerprint(public)


def fingerprint(public: bytes) -> str:
    """How people tell keys apart: SHA-256 of the public key's 32 bytes, in base64, as ssh writes it."""
    return "SHA256:" + _base64(hashlib.sha256(public).digest()).rstrip("=")


def _public_key(path: Path, ed25519: Any, serialization: Any) -> bytes:
    raw = read_plain_file(path, "the public key", "give the file that seedtune bundle keys wrote, ending in .pub")
    try:
        key = serialization.load_pem_public_key(raw)
    except ValueError as error:
        raise _no_key(path, "a public key of ed25519 in PEM") from error
    if not isinstance(key, ed25519.Ed25519PublicKey):
        raise _no_key(path, "a public key of ed25519")
    public: bytes = key.public_bytes_raw()
    return public


def _message(manifest_sha256: str) -> bytes:
    return f"{PURPOSE}\n{manifest_sha256}\n".encode()


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _unbase64(text: str, path: Path) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise SeedTuneError("the signature is no base64", file=path, value=text, remedy=REMEDY) from error


def _no_key(path: Path, rule: str) -> SeedTuneError:
    return SeedTuneError("this is no key to sign with", file=path, rule=rule, remedy="make one: seedtune bundle keys")


def _cryptography() -> tuple[Any, Any]:
    place = "cryptography.hazmat.primitives"
    return (
        import_extra(f"{place}.asymmetric.ed25519", "sign", "a signature"),
        import_extra(f"{place}.serialization", "sign", "a signature"),
    )
