"""What the engine begins with: as the registry has it, in few questions."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from dyncal.adapters.registry import open_registry
from dyncal.adapters.signing import open_signer
from dyncal.domain.lifecycle import ReleaseMode, ReleasePolicy
from dyncal.domain.time import InstantNs
from dyncal.ports.records import Act
from dyncal.runtime.settings import RegistrySettings, SigningSettings
from services.calibrate import known
from tests.rollouts.fleet import fill, sensor_of

NOW = InstantNs(1_700_000_000_000_000_000)


class Counting:
    """A registry that counts what it is asked."""

    def __init__(self, registry: Any) -> None:
        self._registry = registry
        self.asked: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        self.asked[name] += 1
        return getattr(self._registry, name)


@pytest.mark.parametrize("n", [3, 40])
def test_many_sensors_cost_few_questions(tmp_path: Path, n: int) -> None:
    registry = open_registry(RegistrySettings(), tmp_path)
    try:
        fill(registry, open_signer(SigningSettings(), tmp_path), n, NOW)
        bounds = ReleasePolicy(ReleaseMode.WITHIN_BOUNDS, {"tau_s": 0.1})
        for k in range(n):
            registry.put_policy(sensor_of(k), bounds, Act("eve", NOW))
        counting: Any = Counting(registry)
        sensors = [sensor_of(k) for k in range(n)]
        found = known.of(counting, sensors, {})
        governed = known.governed(counting)
        for sensor in sensors:
            desired, waiting, anchor = found[sensor].desired, found[sensor].waiting, governed[sensor].anchor
            assert desired is not None
            assert waiting is not None
            assert anchor is not None
            assert (desired.id, waiting.id) == (f"{sensor}.1-good", f"{sensor}.2-good")
            assert anchor.id == desired.id
            assert (found[sensor].last_sequence, found[sensor].snapshot) == (2, None)
        assert all(counting.asked[name] == n for name in ("last_sequence", "load_snapshot"))
        once = counting.asked.total() - 2 * n
        assert once <= (6 + n if n <= 8 else 7)
        assert known.of(counting, [], {}) == {}
    finally:
        registry.close()
