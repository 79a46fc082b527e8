"""Audit trails of many entries, signed now and then, and what becomes of them when bytes change."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import numpy as np
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dyncal.adapters.registry import audit, open_registry
from dyncal.adapters.registry.database import Database
from dyncal.adapters.registry.offline import Examined, examine_trail
from dyncal.adapters.signing import Ed25519Signer, TrustedKeys, key_id_of
from dyncal.contracts.trail import GENESIS, export_lines, sign_head
from dyncal.domain.time import InstantNs
from dyncal.ports.records import Act
from dyncal.runtime.settings import RegistrySettings

T0: Final = 1_760_000_000_000_000_000
TABLES: Final = {
    "audit": ("number", "at_ns", "actor", "action", "subject", "reason", "digest"),
    "audit_head": ("only", "number", "digest"),
    "audit_checkpoints": ("number", "site", "digest", "at_ns", "key_id", "signature"),
}


class Trail:
    """A registry with a trail of `n` entries below `directory`, and the key that signed it ten times."""

    def __init__(self, directory: Path, n: int) -> None:
        self.file = directory / "registry.sqlite"
        self.export = directory / "trail.jsonl"
        private = Ed25519PrivateKey.generate()
        self.signer = Ed25519Signer(private)
        trusted = directory / "trusted"
        trusted.mkdir(parents=True)
        public = private.public_key()
        (trusted / f"{key_id_of(public)}.pem").write_bytes(
            public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
        self.verifier = TrustedKeys(trusted)
        self._fill(n)

    def _fill(self, n: int) -> None:
        with closing(Database(f"sqlite:///{self.file}")) as database:
            database.prepare()
            each = max(n // 10, 1)
            for start in range(0, n, each):
                acts = [
                    (Act(f"öperator-{k % 9}", InstantNs(T0 + k), "as planned" * (k % 4)), "sensor.put", f"TT-{k % 997}")
                    for k in range(start, min(start + each, n))
                ]
                with database.write() as connection:
                    audit.append_all(connection, acts)
                    at_ns = InstantNs(T0 + start + each)
                    audit.add_checkpoint(
                        connection, sign_head(audit.head(connection), "plant", at_ns, self.signer)
                    )  # fmt: skip
        with closing(sqlite3.connect(self.file)) as raw:
            raw.execute("PRAGMA journal_mode=DELETE")  # one file, all of it there
        with closing(open_registry(RegistrySettings(), self.file.parent)) as registry, self.export.open("wb") as out:
            out.writelines(export_lines(GENESIS, registry.audit(limit=n), registry.checkpoints()))
        with closing(sqlite3.connect(self.file)) as raw:
            raw.execute("PRAGMA journal_mode=DELETE")

    def examine(self, file: Path) -> Examined:
        """Return what holds of a copy."""
        return examine_trail(str(file), self.verifier)


def content(file: Path) -> list[Any] | None:
    """Return every value of the trail's tables with its type, each table read as it lies; None if that fails."""
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as raw:
            raw.text_factory = bytes
            return [
                raw.execute(
                    f"SELECT {', '.join(f'{c}, typeof({c})' for c in columns)} FROM {table} NOT INDEXED ORDER BY rowid"
                ).fetchall()
                for table, columns in TABLES.items()
            ]
    except (sqlite3.Error, UnicodeDecodeError):  # an error's own text may have the bytes in it
        return None


def change_value(file: Path, rng: np.random.Generator) -> str:
    """Change one byte of one value in one of the tables; return which."""
    table = str(rng.choice(list(TABLES)))
    columns = [column for column in TABLES[table] if column != "only"]
    column = str(rng.choice(columns))
    with closing(sqlite3.connect(file)) as raw:
        rows = raw.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        offset = int(rng.integers(rows))
        rowid, value = raw.execute(f"SELECT rowid, {column} FROM {table} LIMIT 1 OFFSET {offset}").fetchone()
        changed: Any
        if isinstance(value, int):
            changed = value ^ (1 << int(rng.integers(40)))
        elif isinstance(value, bytes):
            changed = _change(value, rng)
        else:
            changed = _change(value.encode(), rng).decode("latin-1") if value else chr(int(rng.integers(1, 255)))
        raw.execute(f"UPDATE OR IGNORE {table} SET {column} = ? WHERE rowid = ?", (changed, rowid))
        raw.commit()
    return f"{table}.{column} of row {rowid}: {value!r} to {changed!r}"


def change_byte(file: Path, rng: np.random.Generator, within: tuple[int, int] | None = None) -> str:
    """Change one byte of a file; return which."""
    low, high = within or (0, file.stat().st_size)
    position, change = int(rng.integers(low, high)), int(rng.integers(1, 256))
    with file.open("r+b") as stream:
        stream.seek(position)
        old = stream.read(1)[0]
        stream.seek(position)
        stream.write(bytes([old ^ change]))
    return f"byte {position}: {old} to {old ^ change}"


def _change(value: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(value)
    changed[int(rng.integers(len(changed)))] ^= int(rng.integers(1, 128))
    return bytes(changed)
