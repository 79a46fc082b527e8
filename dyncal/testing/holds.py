"""What every registry must do with holds."""

from __future__ import annotations

import pytest

from dyncal.domain.errors import Conflict, NotFound
from dyncal.domain.holds import Hold
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs
from dyncal.ports.registry import Registry
from dyncal.testing.registry import S1, T0, act


def make_hold(name: str = "h-1", k: int = 0, sensor: SensorId | None = S1) -> Hold:
    """Return a hold that was put at second `k`."""
    put_ns = InstantNs(T0 + k * 1_000_000_000)
    return Hold(name, sensor, InstantNs(T0), InstantNs(T0 + 9), "claim 4711", "key:abc", put_ns)


class HoldRegistryContract:
    """Derive from it beside `RegistryContract`, which gives the fixture ``registry``."""

    def test_holds_come_back_until_they_are_released(self, registry: Registry) -> None:
        registry.put_hold(make_hold("h-2", 2, None), act(2, "claim 4711"), most=5)
        registry.put_hold(make_hold("h-1", 1), act(1, "claim 4711"), most=5)
        assert registry.holds() == [make_hold("h-1", 1), make_hold("h-2", 2, None)]
        entry = registry.audit()[-1]
        assert (entry.action, entry.reason) == ("hold.put", "claim 4711")
        assert entry.subject.startswith(f"h-1 {S1} 20")
        assert registry.release_hold("h-1", act(3, "settled")) == make_hold("h-1", 1)
        assert registry.holds() == [make_hold("h-2", 2, None)]
        assert (registry.audit()[-1].action, registry.audit()[-1].reason) == ("hold.release", "settled")

    def test_a_hold_that_is_refused_leaves_no_trace(self, registry: Registry) -> None:
        registry.put_hold(make_hold(), act(1, "why"), most=1)
        n = len(registry.audit())
        for hold in (make_hold(), make_hold("h-2")):
            with pytest.raises(Conflict):
                registry.put_hold(hold, act(2, "why"), most=1)
        with pytest.raises(NotFound):
            registry.release_hold("h-3", act(2, "why"))
        assert len(registry.audit()) == n
        assert registry.holds() == [make_hold()]
