"""Certificates and passwords that are replaced while programs work: used from the next connection on."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from dyncal.adapters.authority import Authority, Purpose
from dyncal.adapters.mqtt.bus import open_bus
from dyncal.adapters.registry import open_registry
from dyncal.domain.sensors import SiteId
from dyncal.runtime.clocks import SystemClock
from dyncal.runtime.settings import BrokerSettings, RegistrySettings
from tests.servers_mosquitto import SecureMosquitto
from tests.servers_postgresql import Postgres


@pytest.mark.mosquitto
@pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
async def test_a_certificate_that_is_replaced_counts_from_the_next_connection_on(tmp_path: Path) -> None:
    broker = SecureMosquitto(tmp_path, site=SiteId("works"))
    authority = broker.prepare()
    now = SystemClock().now()
    strange = Authority.make(tmp_path / "strange", "another authority", now, 30).issue("line1", Purpose.EDGE, now, 30)
    cert, key = tmp_path / "mine.pem", tmp_path / "mine.key"
    shutil.copy(strange.cert_file, cert)
    shutil.copy(strange.key_file, key)
    broker.start()
    try:
        settings = BrokerSettings(port=broker.port, ca_file=authority.ca_file, cert_file=cert, key_file=key)
        async with asyncio.timeout(20), open_bus(settings, "dyncal-edge-works-line1", clean=True) as bus:
            while "certificate" not in bus.trouble and "alert" not in bus.trouble and "lost" not in bus.trouble:
                await asyncio.sleep(0.05)
            assert not bus.connected
            key.write_text("half of a key")  # as it may be found in the midst of a change
            await asyncio.sleep(0.3)
            right = broker.settings(authority, "line1", Purpose.EDGE)
            assert right.cert_file is not None
            assert right.key_file is not None
            shutil.copy(right.cert_file, cert)
            shutil.copy(right.key_file, key)
            await bus.wait_connected()
            await bus.publish("dyncal/v1/works/line1/events", b"{}")
    finally:
        broker.stop()


@pytest.mark.postgresql
def test_a_password_of_the_registry_that_is_changed_is_read_for_each_connection(
    postgres: Postgres, tmp_path: Path
) -> None:
    name, password = postgres.make_database(), tmp_path / "password"
    user = f"u_{name}"
    admin = sa.create_engine(postgres.url(name), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(sa.text(f"CREATE USER {user} PASSWORD 'first'"))
        connection.execute(sa.text(f"GRANT ALL ON SCHEMA public TO {user}"))
    password.write_text("first\n")
    url = postgres.url(name, password=False).replace("//dyncal@", f"//{user}@")
    with closing(open_registry(RegistrySettings(url=url, password_file=password), tmp_path)) as registry:
        assert registry.audit() == []
        with admin.connect() as connection:
            connection.execute(sa.text(f"ALTER USER {user} PASSWORD 'second'"))
            connection.execute(
                sa.text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename='{user}'")
            )
        password.write_text("second\n")
        assert registry.audit() == []
    with admin.connect() as connection:
        connection.execute(sa.text(f"DROP OWNED BY {user}"))
        connection.execute(sa.text(f"DROP USER {user}"))
    admin.dispose()
