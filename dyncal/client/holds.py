"""The client's part about holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dyncal.client import models as m
from dyncal.client.transport import part

if TYPE_CHECKING:
    from dyncal.client.transport import Transport


class HoldMethods:
    """Methods of `dyncal.client.Client`."""

    transport: Transport

    def holds(self) -> list[m.HoldOut]:
        """Return the holds in force, oldest first."""
        return list(self.transport.get("/v1/holds", m.HoldList).items)

    def put_hold(
        self, sensor: str | None, from_ns: int, to_ns: int | None, reason: str, *, key: str | None = None
    ) -> m.HoldOut:
        """Have samples of a sensor (None: of all) stay as they are, from an instant to before another or for ever."""
        body = m.HoldBody(sensor=sensor, from_ns=from_ns, to_ns=to_ns, reason=reason)
        return self.transport.command("POST", "/v1/holds", m.HoldOut, body, key)

    def release_hold(self, hold: str, reason: str) -> None:
        """Release a hold; `ApiNotFound` if it is not in force."""
        self.transport.send("DELETE", f"/v1/holds/{part(hold)}", query={"reason": reason})
