from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from dyncal.adapters.signing import open_signer, open_verifier
from dyncal.domain.errors import InvalidSetting
from dyncal.runtime.settings import SigningSettings

SETTINGS = SigningSettings()


def test_the_first_start_makes_a_key_that_later_starts_use(tmp_path: Path) -> None:
    first, again = open_signer(SETTINGS, tmp_path), open_signer(SETTINGS, tmp_path)
    assert first.key_id == again.key_id
    assert (tmp_path / "keys/signing.pem").stat().st_mode & 0o777 == 0o600
    assert [p.name for p in (tmp_path / "keys/trusted").iterdir()] == [f"{first.key_id}.pem"]
    assert sorted(p.name for p in (tmp_path / "keys").iterdir()) == ["signing.pem", "trusted"]
    verifier = open_verifier(SETTINGS, tmp_path)
    assert verifier.verify(first.key_id, b"message", again.sign(b"message"))


def test_starts_at_the_same_time_agree_on_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        signers = list(pool.map(lambda _: open_signer(SETTINGS, tmp_path), range(8)))
    assert len({s.key_id for s in signers}) == 1


def test_whatever_is_not_the_signature_is_false_and_never_raises(tmp_path: Path) -> None:
    signer = open_signer(SETTINGS, tmp_path)
    verifier = open_verifier(SETTINGS, tmp_path)
    good = signer.sign(b"message")
    flipped = bytes([good[0] ^ 1]) + good[1:]
    for key_id, message, signature in [
        (signer.key_id, b"massage", good),
        (signer.key_id, b"message", flipped),
        (signer.key_id, b"message", b""),
        (signer.key_id, b"message", good * 2),
        ("ed25519-0000000000000000", b"message", good),
        ("../signing", b"message", good),
        (cast(Any, None), b"message", good),
        (cast(Any, ["x"]), b"message", good),
        (signer.key_id, cast(Any, "text"), good),
        (signer.key_id, b"message", cast(Any, None)),
    ]:
        assert verifier.verify(key_id, message, signature) is False
    assert verifier.verify(signer.key_id, b"message", good)


def test_trust_follows_the_directory_without_a_restart(tmp_path: Path) -> None:
    signer = open_signer(SETTINGS, tmp_path / "a")
    edge = SigningSettings(trusted_dir=tmp_path / "edge")
    verifier = open_verifier(edge, tmp_path)
    signature = signer.sign(b"m")
    assert not verifier.verify(signer.key_id, b"m", signature)
    (tmp_path / "edge").mkdir()
    file = tmp_path / "edge" / "any-name.pem"
    shutil.copy(tmp_path / "a/keys/trusted" / f"{signer.key_id}.pem", file)
    assert verifier.verify(signer.key_id, b"m", signature)
    assert verifier.key_ids() == [signer.key_id]
    file.unlink()
    assert not verifier.verify(signer.key_id, b"m", signature)


def test_a_foreign_key_under_a_trusted_name_is_not_that_key(tmp_path: Path) -> None:
    ours, theirs = open_signer(SETTINGS, tmp_path / "a"), open_signer(SETTINGS, tmp_path / "b")
    trusted = tmp_path / "a/keys/trusted"
    shutil.copy(tmp_path / "b/keys/trusted" / f"{theirs.key_id}.pem", trusted / f"{ours.key_id}.pem")
    verifier = open_verifier(SETTINGS, tmp_path / "a")
    assert not verifier.verify(ours.key_id, b"m", theirs.sign(b"m"))


def test_rubbish_beside_trusted_keys_is_ignored(tmp_path: Path) -> None:
    signer = open_signer(SETTINGS, tmp_path)
    trusted = tmp_path / "keys/trusted"
    (trusted / "junk.pem").write_bytes(b"\x00junk")
    (trusted / "dir.pem").mkdir()
    other = generate_private_key(SECP256R1()).public_key()
    (trusted / "ec.pem").write_bytes(
        other.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    verifier = open_verifier(SETTINGS, tmp_path)
    assert verifier.verify(signer.key_id, b"m", signer.sign(b"m"))
    assert verifier.key_ids() == [signer.key_id]


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    open_signer(SETTINGS, tmp_path)
    (tmp_path / "keys/signing.pem").chmod(0o644)
    with pytest.raises(InvalidSetting, match=r"signing\.key_file.*mode 644.*chmod 600"):
        open_signer(SETTINGS, tmp_path)


@pytest.mark.parametrize("content", [b"", b"junk", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_key_file_that_is_no_key_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "key.pem"
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(InvalidSetting, match=r"key\.pem"):
        open_signer(SigningSettings(key_file=file), tmp_path)


def test_a_key_of_another_kind_is_named(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_bytes(
        generate_private_key(SECP256R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    file.chmod(0o600)
    with pytest.raises(InvalidSetting, match="expected an Ed25519 key"):
        open_signer(SigningSettings(key_file=file), tmp_path)
