from __future__ import annotations

from tests.property.alarms.machine import run


def test_the_engine_does_what_the_model_does() -> None:
    """A short form of ``python -m tests.property.alarms.machine --steps 100000``."""
    assert run(3000) > 3000
