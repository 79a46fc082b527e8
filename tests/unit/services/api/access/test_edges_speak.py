"""Who may say over HTTP what an edge did and found: itself, of its own sensors; and engineers, who are named."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dyncal.contracts.coefficients import decode_report
from dyncal.domain.access import Role
from dyncal.domain.sensors import EdgeId, SensorId
from dyncal.testing.registry import S1, act, make_sensor
from tests.unit.services.api.access.conftest import House
from tests.unit.services.api.routers.test_edge import REPORT, RESIDUAL, Heard

OTHER = SensorId("other")


@pytest.mark.parametrize(
    ("role", "allowed"),
    [(Role.EDGE, True), (Role.VIEWER, False), (Role.OPERATOR, False), (Role.ENGINEER, True)],
)
async def test_each_role(house: House, role: Role, allowed: bool) -> None:
    house.registry.put_sensors([make_sensor(S1), replace(make_sensor(OTHER), edge=EdgeId("edge-2"))], [], act())
    http, bus = await house.client(house.key(role)), Heard()
    with house.deps.voice.through(bus):  # type: ignore[arg-type]  # a part of one
        own = [
            await http.post("/v1/edges/edge-1/residuals", json={"items": [RESIDUAL]}),
            await http.put(f"/v1/edges/edge-1/coefficients/{S1}/reported", json=REPORT),
        ]
        assert [answer.status_code for answer in own] == ([204, 204] if allowed else [403, 403])
        assert len(bus.said) == (2 if allowed else 0)
        if role is Role.EDGE:
            assert decode_report(bus.said[1][1]).reason == "expired"  # by nobody else
            theirs = [
                await http.post("/v1/edges/edge-2/residuals", json={"items": [RESIDUAL | {"sensor": OTHER}]}),
                await http.put(f"/v1/edges/edge-2/coefficients/{OTHER}/reported", json=REPORT),
                await http.get("/v1/edges/edge-2/keys"),
            ]
            assert [answer.status_code for answer in theirs] == [403] * 3
            assert len(bus.said) == 2
    assert (await http.get("/v1/edges/edge-1/keys")).status_code == 404  # none were announced
