"""A PostgreSQL server of one's own, on a free port of loopback; started once, with a database for each test."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import sqlalchemy as sa

from dyncal.runtime.ports import free_port

START_TIMEOUT_S = 20.0
CONFIG = """
listen_addresses = '{address}'
unix_socket_directories = ''
fsync = off
shared_buffers = 16MB
max_connections = 60
"""


@dataclass
class Postgres:
    """A server whose only user is ``dyncal``, who must give a password."""

    directory: Path
    password: str = field(default_factory=lambda: secrets.token_urlsafe(12), repr=False)
    port: int = 0
    address: str = "127.0.0.1"
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def make(self) -> None:
        """Make an empty cluster below the directory."""
        self.directory.mkdir(parents=True, exist_ok=True)
        secret = self.directory / "password"
        secret.write_text(self.password)
        user = self._user()
        if user is not None:
            for path in (self.directory, secret):
                shutil.chown(path, user)
        subprocess.run(
            [_program("initdb"), "-D", str(self._data), "-U", "dyncal", "-A", "scram-sha-256", "--pwfile", str(secret),
             "--no-sync", "-E", "UTF8", "--locale=C", "--locale-provider=icu", "--icu-locale=en-US"],
            check=True, capture_output=True, user=user, cwd="/",
        )  # fmt: skip
        with (self._data / "postgresql.conf").open("a") as config:
            config.write(CONFIG.format(address=self.address))
        with (self._data / "pg_hba.conf").open("a") as allowed:
            allowed.write(f"host all all {self.address}/24 scram-sha-256\n")

    def start(self) -> None:
        """Start, and return when it answers."""
        assert self.process is None
        self.port = self.port or free_port()
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [_program("postgres"), "-D", str(self._data), "-p", str(self.port)],
                stdout=log, stderr=log, user=self._user(), cwd="/",
            )  # fmt: skip
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self.process.poll() is None:
            done = subprocess.run(
                [_program("pg_isready"), "-h", self.address, "-p", str(self.port)], capture_output=True, check=False
            )
            if done.returncode == 0:
                return
            time.sleep(0.05)
        text = (self.directory / "log").read_text()
        self.stop()
        raise AssertionError(f"postgres does not answer on {self.port}: {text[-2000:]}")

    def stop(self, *, kill: bool = False) -> None:
        """End it; `kill` leaves it no time to put anything in order."""
        if self.process is None:
            return
        if kill:
            self.process.kill()
        else:
            self.process.send_signal(2)  # "fast": clients are sent away
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)
        self.process = None

    def url(self, database: str = "postgres", *, password: bool = True) -> str:
        """Return the SQLAlchemy URL of a database."""
        secret = f":{self.password}" if password else ""
        return f"postgresql+psycopg://dyncal{secret}@{self.address}:{self.port}/{database}"

    def make_database(self) -> str:
        """Return the name of a new one."""
        name = f"d{secrets.token_hex(6)}"
        engine = sa.create_engine(self.url(), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return name

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    def _user(self) -> str | None:
        """Return whom to run it as: PostgreSQL refuses to run as root."""
        if os.geteuid() != 0:
            return None
        return pwd.getpwnam("postgres").pw_name


def _program(name: str) -> str:
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    found = str(installed[-1]) if installed else shutil.which(name)
    assert found is not None, f"{name} is not installed: apt-get install postgresql"
    return found


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A running server; the test has the marker ``postgresql``."""
    with tempfile.TemporaryDirectory(prefix="dyncal-postgres-") as directory:  # pytest's own let no other user in
        server = Postgres(Path(directory) / "server")
        Path(directory).chmod(0o755)
        server.make()
        server.start()
        try:
            yield server
        finally:
            server.stop()
