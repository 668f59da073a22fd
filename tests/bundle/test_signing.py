"""A signed bundle is whose it is said to be, and whole; what was changed is named."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.bundle.signing import make_keys, sign, verify_signature
from seedtune.runtime.errors import SeedTuneError

pytestmark = pytest.mark.traced


@pytest.fixture
def signed(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A copy of a bundle, signed with ``me.key`` beside it."""
    shutil.copytree(tiny_bundle, tmp_path / "bundle")
    make_keys(tmp_path / "me.key")
    sign(Bundle.open(tmp_path / "bundle"), tmp_path / "me.key")
    return tmp_path / "bundle"


def test_a_signed_bundle_is_verified_and_stays_the_same_bundle(signed: Path, tiny_bundle: Path) -> None:
    opened = Bundle.open(signed)
    assert opened.sha256 == Bundle.open(tiny_bundle).sha256
    found = verify_signature(opened, signed.with_name("me.key.pub"))
    assert found == verify_signature(opened)
    assert found.startswith("SHA256:")
    assert signed.with_name("me.key").stat().st_mode & 0o077 == 0


def test_the_signature_is_one_of_ed25519_over_what_the_page_says(signed: Path) -> None:
    stored = json.loads((signed / "signature.json").read_text())
    key = load_pem_public_key(signed.with_name("me.key.pub").read_bytes())
    message = f"seedtune bundle 1\n{stored['manifest_sha256']}\n".encode()
    key.verify(base64.b64decode(stored["signature"]), message)  # type: ignore[union-attr, call-arg]


def test_a_key_that_openssl_made_signs_too(signed: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    other = signed.with_name("other.key")
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", other], check=True, capture_output=True)
    sign(Bundle.open(signed), other)
    public = subprocess.run(["openssl", "pkey", "-in", other, "-pubout"], check=True, capture_output=True).stdout
    signed.with_name("other.pub").write_bytes(public)
    verify_signature(Bundle.open(signed), signed.with_name("other.pub"))
    with pytest.raises(SeedTuneError, match="another key"):
        verify_signature(Bundle.open(signed), signed.with_name("me.key.pub"))


@pytest.mark.parametrize("name", ["weights.safetensors", "probe.onnx", "tokenizer.json", "manifest.json"])
def test_one_bit_flipped_is_named_with_its_file(
    signed: Path, seedtune: Callable[..., CompletedProcess[str]], name: str
) -> None:
    raw = bytearray((signed / name).read_bytes())
    # In a manifest a space, which nobody would notice but for the signature.
    place = raw.index(b" ") if name == "manifest.json" else len(raw) // 2
    raw[place] = 0x09 if name == "manifest.json" else raw[place] ^ 1
    (signed / name).write_bytes(raw)
    done = seedtune("bundle", "verify", signed, "--key", signed.with_name("me.key.pub"))
    assert done.returncode == 2
    assert name in done.stderr
    assert "remedy" in done.stderr


def test_what_is_no_signature_is_refused(signed: Path, tiny_bundle: Path) -> None:
    with pytest.raises(SeedTuneError, match="not signed"):
        verify_signature(Bundle.open(tiny_bundle))
    path = signed / "signature.json"
    stored = json.loads(path.read_text())
    zeros = base64.b64encode(bytes(64)).decode()
    for change, words in (
        ({"signature": zeros}, "does not hold"),
        ({"signature": "?"}, "no base64"),
        ({"public_key": zeros}, "does not hold"),
        ({"algorithm": "none"}, "kind that this version"),
        ({"more": 1}, "cannot be read"),
    ):
        path.write_text(json.dumps(stored | change))
        with pytest.raises(SeedTuneError, match=words) as caught:
            verify_signature(Bundle.open(signed))
        assert caught.value.remedy


def test_what_is_no_key_is_refused_and_keys_are_never_replaced(signed: Path, tmp_path: Path) -> None:
    for name in ("me.key.pub", "bundle/tokenizer.json"):
        with pytest.raises(SeedTuneError, match="no key to sign with"):
            sign(Bundle.open(signed), tmp_path / name)
    with pytest.raises(SeedTuneError, match="a file already"):
        make_keys(tmp_path / "me.key")
    (tmp_path / "new.key.pub").write_text("mine")
    with pytest.raises(SeedTuneError, match="a file already"):
        make_keys(tmp_path / "new.key")
    assert not (tmp_path / "new.key").exists()


def test_the_commands_make_keys_sign_and_verify(
    tiny_bundle: Path, seedtune: Callable[..., CompletedProcess[str]], tmp_path: Path
) -> None:
    shutil.copytree(tiny_bundle, tmp_path / "bundle")
    made = json.loads(seedtune("bundle", "keys", "--out", tmp_path / "me.key", "--json").stdout)
    assert seedtune("bundle", "sign", tmp_path / "bundle", "--key", tmp_path / "me.key").returncode == 0
    done = seedtune("bundle", "verify", tmp_path / "bundle", "--key", tmp_path / "me.key.pub", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["fingerprint"] == made["fingerprint"]
