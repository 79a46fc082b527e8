"""Ed25519 signing of coefficient sets: a private key in a file of its own, public keys in a directory of the trusted.

The name of a key follows from its public part, so that nobody can offer another key under a trusted name.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from dyncal.domain.errors import InvalidSetting
from dyncal.runtime.logging import logger
from dyncal.runtime.settings import SigningSettings

RETIRED: Final = "retired"
"""Directory beside the trusted one: public keys that sign no more, whose old signatures still say something."""

_MAX_KEY_BYTES: Final = 16_384
_TOO_OPEN: Final = 0o037  # readable by the group is what container platforms do to a mounted secret; more is not needed

_log = logger("signing")

_Listing = tuple[tuple[Path, int, int, int], ...]


def key_id_of(public: Ed25519PublicKey) -> str:
    """Return the name of a key: ``ed25519-`` and the first 16 hexadecimal digits of the SHA-256 of its public part."""
    raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return f"ed25519-{hashlib.sha256(raw).hexdigest()[:16]}"


class Ed25519Signer:
    """Signs with one private key (`dyncal.ports.signing.Signer`)."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self._key_id = key_id_of(private.public_key())

    @property
    def key_id(self) -> str:
        """Name of the key."""
        return self._key_id

    @property
    def public(self) -> Ed25519PublicKey:
        """Public part of the key."""
        return self._private.public_key()

    def sign(self, message: bytes) -> bytes:
        """Return the 64 bytes of the signature over `message`."""
        return self._private.sign(message)


class FileSigner(Ed25519Signer):
    """Signs with the key that a file held when `refresh` was called last."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = _stamp(path)
        super().__init__(read_private(path))

    def refresh(self) -> bool:
        """Take the key that is in the file now; tell whether it is another one.

        Never between asking for `key_id` and `sign`: who uses it calls this where nothing is being signed.

        Raises
        ------
        InvalidSetting
            If the file holds no key that can be used; the one before stays in use.
        """
        try:
            seen = _stamp(self._path)
            if seen == self._seen:
                return False
            private = read_private(self._path)
        except OSError as error:
            raise InvalidSetting(f"signing.key_file = {str(self._path)!r}: {error.strerror}") from error
        before = self._key_id
        self._private, self._key_id, self._seen = private, key_id_of(private.public_key()), seen
        return self._key_id != before


class TrustedKeys:
    """Verifies by the public keys of directories (`dyncal.ports.signing.Verifier`); thread-safe.

    They are read again whenever a file in them is new, changed or gone: trusting and distrusting a key needs no
    restart. Files that hold no Ed25519 public key are logged and ignored.
    """

    def __init__(self, *directories: Path) -> None:
        self._directories = directories
        self._lock = threading.Lock()
        self._seen: _Listing | None = None
        self._keys: dict[str, Ed25519PublicKey] = {}

    def verify(self, key_id: str, message: bytes, signature: bytes) -> bool:
        """Tell whether `signature` is that of a trusted `key_id` over `message`; never raises."""
        try:
            key = self._current().get(key_id)
            if key is None:
                return False
            key.verify(signature, message)
        except InvalidSignature:
            return False
        except Exception:  # noqa: BLE001 - whatever a stranger's bytes or a broken disk cause, they are not trusted
            _log.warning("verify_failed", key_id=str(key_id)[:80])
            return False
        return True

    def key_ids(self) -> list[str]:
        """Return the names of the keys that are trusted now."""
        return sorted(self._current())

    def _current(self) -> dict[str, Ed25519PublicKey]:
        with self._lock:
            seen = self._listing()
            if seen != self._seen:
                self._keys = self._read(seen)
                self._seen = seen
            return self._keys

    def _listing(self) -> _Listing:
        found: list[tuple[Path, int, int, int]] = []
        for directory in self._directories:
            with contextlib.suppress(OSError), os.scandir(directory) as entries:
                stats = [(Path(e.path), e.stat()) for e in entries if e.name.endswith(".pem")]
                found += ((path, s.st_mtime_ns, s.st_size, s.st_ino) for path, s in stats)
        return tuple(sorted(found))

    def _read(self, listing: _Listing) -> dict[str, Ed25519PublicKey]:
        keys: dict[str, Ed25519PublicKey] = {}
        for path, *_ in listing:
            key = read_public(path)
            if key is not None:
                keys[key_id_of(key)] = key
        return keys


@dataclass(frozen=True, slots=True)
class Keys:
    """What is there of keys: the trusted directory and the names in it, our own key's name, and what is wrong."""

    directory: Path
    trusted: tuple[str, ...]
    own: str | None
    faults: tuple[str, ...]


def examine_keys(settings: SigningSettings, data_dir: Path) -> Keys:
    """Look at the keys without making any."""
    directory, path = _trusted_dir(settings, data_dir), settings.key_file or data_dir / "keys" / "signing.pem"
    faults, trusted, own = [], [], None
    for file in sorted(directory.glob("*.pem")):
        try:
            trusted.append(key_id_of(_public_of(file)))
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
            faults.append(f"signing.trusted_dir = {str(directory)!r}: {file.name}: no Ed25519 public key: {error}")
    try:
        own = Ed25519Signer(read_private(path)).key_id if path.exists() else None
    except InvalidSetting as error:
        faults.append(str(error))
    except OSError as error:
        faults.append(f"signing.key_file = {str(path)!r}: {error.strerror}")
    return Keys(directory, tuple(sorted(trusted)), own, tuple(faults))


def open_signer(settings: SigningSettings, data_dir: Path) -> FileSigner:
    """Return the signer of the private key file; make the key pair at first start.

    The public part is put into the trusted directory as ``<key id>.pem`` where it is not there.

    Raises
    ------
    InvalidSetting
        If the key file is unreadable, no Ed25519 key, or open to others.
    """
    path = settings.key_file or data_dir / "keys" / "signing.pem"
    try:
        if not path.exists():
            make_private(path)
        signer = FileSigner(path)
        trust(signer.public, _trusted_dir(settings, data_dir))
    except OSError as error:
        raise InvalidSetting(f"signing.key_file = {str(path)!r}: {error.strerror}: {error.filename}") from error
    return signer


def open_verifier(settings: SigningSettings, data_dir: Path) -> TrustedKeys:
    """Return the verifier of the trusted directory; it may be empty or absent still: then nothing is trusted."""
    return TrustedKeys(_trusted_dir(settings, data_dir))


def trail_verifier(settings: SigningSettings, data_dir: Path) -> TrustedKeys:
    """Return the verifier of what was signed long ago: keys that are retired count as well."""
    trusted = _trusted_dir(settings, data_dir)
    return TrustedKeys(trusted, trusted.parent / RETIRED)


def _trusted_dir(settings: SigningSettings, data_dir: Path) -> Path:
    return settings.trusted_dir or data_dir / "keys" / "trusted"


def make_private(path: Path) -> None:
    """Write a new private key, unless there is one. Raises `OSError`."""
    content = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _write_once(path, content, 0o600)


def trust(public: Ed25519PublicKey, directory: Path) -> bool:
    """Put a public key into a directory as ``<key id>.pem``; tell whether it was not there. Raises `OSError`."""
    path = directory / f"{key_id_of(public)}.pem"
    if path.exists():
        return False
    directory.mkdir(parents=True, exist_ok=True)
    content = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    _write_once(path, content, 0o644)
    return True


def replace_file(path: Path, content: bytes, mode: int) -> None:
    """Replace a file by one that appears whole. Raises `OSError`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)


def _stamp(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size, found.st_ino


def _write_once(path: Path, content: bytes, mode: int) -> None:
    """Write a file that appears whole or not at all; where another process was first, its file stays."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        try:
            os.link(temporary, path)
        except FileExistsError:
            return
    finally:
        temporary.unlink()


def read_private(path: Path) -> Ed25519PrivateKey:
    """Return the key in a file. Raises `InvalidSetting` if it is none or open to others, `OSError`."""
    mode = path.stat().st_mode & 0o777
    if mode & _TOO_OPEN:
        raise InvalidSetting(
            f"signing.key_file = {str(path)!r}: mode {mode:o} lets others at the private key; run: chmod 600 {path}"
        )
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InvalidSetting(f"signing.key_file = {str(path)!r}: no unencrypted PEM private key: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise InvalidSetting(f"signing.key_file = {str(path)!r}: expected an Ed25519 key, not {type(key).__name__}")
    return key


def read_public(path: Path) -> Ed25519PublicKey | None:
    """Return the key in a file, or None: then it is logged why."""
    try:
        return _public_of(path)
    except TypeError as error:
        _log.warning("trusted_key_of_other_kind", file=str(path), kind=str(error))
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        _log.warning("trusted_key_unreadable", file=str(path), error=str(error))
    return None


def _public_of(path: Path) -> Ed25519PublicKey:
    """Return the key in a file. Raises OSError, ValueError, UnsupportedAlgorithm; TypeError for one of another kind."""
    with path.open("rb") as stream:
        key = serialization.load_pem_public_key(stream.read(_MAX_KEY_BYTES))
    if not isinstance(key, Ed25519PublicKey):
        raise TypeError(type(key).__name__)
    return key
