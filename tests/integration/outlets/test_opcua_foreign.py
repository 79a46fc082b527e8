"""The OPC UA server as clients of other people see it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from services.api.state import SensorState, Standing
from tests.cuts.servers import NODE_OPCUA
from tests.integration.edge_agent.test_foreign_servers import available
from tests.integration.outlets.foreign import node_client
from tests.integration.outlets.opcua import serving
from tests.unit.services.api.outlets.alarms import change

T0_NS = 1_769_860_800_123_456_000  # 2026-01-31T12:00:00.123456Z


def operator(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "password").write_text("pa55\n")
    return {"users": [{"name": "maria", "password_file": str(tmp_path / "password"), "operates": True}]}


@pytest.mark.timeout(300)
async def test_node_opcua_sees_values_alarms_and_acknowledges(tmp_path: Path) -> None:
    available(NODE_OPCUA)
    async with serving(tmp_path, **operator(tmp_path)) as served:
        served.plant.put("TT-0", T0_NS, 20.5, 21.0, 0.125)
        served.plant.states["TT-0"] = Standing(SensorState.MAINTENANCE_REQUIRED, "drift of tau_s")
        served.feed.add(change(1, "TT-0"))
        async with node_client(served.url, tmp_path, user="maria", password="pa55") as client:
            await client.until("ready")
            read = {said["name"]: (said["value"], said["status"]) for said in client.said if said["what"] == "read"}
            assert read == {
                "Corrected": (21.0, 0),
                "StandardUncertainty": (0.125, 0),
                "Raw": (20.5, 0),
                "State": ("maintenance_required", 0),
                "DeviceHealth": (4, 0),
                "CoefficientSet": ("set-1", 0),
            }
            raw = next(said for said in client.said if said.get("name") == "Raw")
            assert raw["at"] == "2026-01-31T12:00:00.123Z"
            assert next(said for said in client.said if said["what"] == "units")["shown"] == "°C"

            standing = await client.until("new", condition="alarm/TT-0:drift")  # by its refresh
            assert (standing["active"], standing["acked"], standing["retain"]) == (True, False, True)
            assert standing["severity"] == 500
            assert "tau_s" in standing["message"]

            served.plant.put("TT-0", T0_NS + 10**9, 20.5, 22.0, 0.125, quality=0)
            await client.until("changed", value=22.0)
            served.feed.add(change(2, "TT-1", priority="high", kind="reference_lost"))
            served.outlet.wake()
            assert (await client.until("new", condition="alarm/TT-1:reference_lost"))["severity"] == 800

            client.ask("acknowledge TT-0:drift")
            await client.until("acknowledged", status="Good")
            await client.until("alarm", condition="alarm/TT-0:drift", acked=True)
            client.ask("shelve TT-1:reference_lost 3600000")
            await client.until("shelve", status="Good")
            client.ask("unshelve TT-1:reference_lost")
            await client.until("unshelve", status="Good")
            client.ask("comment TT-1:reference_lost")
            await client.until("commented", status="Good")
            assert [(w.command, w.alarm, w.reason, w.duration_s, w.upto, actor) for w, actor in served.desk.wishes] == [
                ("acknowledge", "TT-0:drift", "seen by the checker", None, 1, "opcua:maria"),
                ("shelve", "TT-1:reference_lost", "over OPC UA, without a comment", 3600.0, None, "opcua:maria"),
                ("unshelve", "TT-1:reference_lost", "over OPC UA, without a comment", None, None, "opcua:maria"),
                ("comment", "TT-1:reference_lost", "noted", None, 2, "opcua:maria"),
            ]
            served.desk.refusal = "nothing_to_acknowledge"
            client.ask("acknowledge TT-0:drift")
            await client.until("acknowledged", status="BadConditionBranchAlreadyAcked")

            client.ask("refresh")
            await client.until("event", type=2787)  # begin of the refresh
            await client.until("event", type=2915, source="TT-1", retain=True)
            await client.until("event", type=2915, source="TT-0", retain=True)
            await client.until("event", type=2788)
            served.feed.add(change(9, "TT-0", "cleared", state="normal", active=False, acknowledged=True))
            served.outlet.wake()
            await client.until("alarm", condition="alarm/TT-0:drift", active=False, retain=False)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("policy", ["Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"])
async def test_node_opcua_is_let_in_once_its_certificate_is_trusted(tmp_path: Path, policy: str) -> None:
    available(NODE_OPCUA)
    mode = "SignAndEncrypt"
    async with serving(tmp_path, allow_none=False, **operator(tmp_path)) as served:
        served.plant.put("TT-0", T0_NS, 20.5, 21.0, 0.125)
        async with node_client(served.url, tmp_path, policy, mode, "maria", "pa55") as client:
            assert "BadSecurityChecksFailed" in (await client.until("failed"))["error"]
        (rejected,) = (served.directory / "rejected").iterdir()
        rejected.rename(served.directory / "trusted" / rejected.name)
        async with node_client(served.url, tmp_path, policy, mode, "maria", "pa55") as client:
            await client.until("ready")
        async with node_client(served.url, tmp_path, policy, mode, "maria", "wrong") as client:
            assert "BadUserAccessDenied" in (await client.until("failed"))["error"]
        async with node_client(served.url, tmp_path) as client:  # no such endpoint
            await client.until("failed")
