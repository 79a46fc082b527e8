"""A secured server of other people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dyncal.adapters.opcua.pki import Pki
from dyncal.adapters.opcua.trust import Untrusted
from dyncal.runtime.clocks import SystemClock
from edge_agent.readers.session import ServerSession
from edge_agent.source_settings import OpcuaSettings
from tests.cuts.servers import NODE_OPCUA, serving
from tests.integration.edge_agent.test_foreign_servers import available

POLICIES = ("Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss")


async def connected(port: int, pki: Pki, **more: Any) -> float:
    """Return a value that was read over a connection."""
    node = {"sensor": "A", "node": "ns=1;s=A", "unit": "Cel", "dt_s": 0.02}
    url = f"opc.tcp://127.0.0.1:{port}"
    session = ServerSession(OpcuaSettings.model_validate({"url": url, "nodes": [node], **more}), pki)
    try:
        await session.connect()
        return float(await session.client.get_node("ns=1;s=A").read_value())
    finally:
        await session.close()


@pytest.mark.timeout(300)
async def test_node_opcua_is_trusted_by_its_certificate_and_read_with_every_policy(tmp_path: Path) -> None:
    available(NODE_OPCUA)
    pki = Pki(tmp_path / "pki", "urn:dyncal:plant:edge1", SystemClock())
    async with serving(NODE_OPCUA, tmp_path, secure=True) as served:
        with pytest.raises(Untrusted, match=r"move .*rejected"):
            await connected(served.port, pki, security_policy="Basic256Sha256", security_mode="SignAndEncrypt")
        (rejected,) = (tmp_path / "pki" / "rejected").iterdir()
        rejected.rename(tmp_path / "pki" / "trusted" / rejected.name)
        for policy in POLICIES:
            for mode in ("Sign", "SignAndEncrypt"):
                secured = {"security_policy": policy, "security_mode": mode}
                assert await connected(served.port, pki, **secured) >= 0
                assert await connected(served.port, pki, **secured, username="operator", password="pa55") >= 0
