"""The published interface under generated requests, in each role: a short form of ``python -m tests.hostile.http``."""

from __future__ import annotations

import pytest

from tests.hostile.http import NOBODY, ROLES, run


@pytest.mark.timeout(300)
@pytest.mark.parametrize("role", ROLES)
async def test_generated_requests_find_nothing(role: str) -> None:
    found = await run(role, examples=1, phases="fuzzing")
    assert found.clean, (found.beyond, found.by_status, found.output[-4000:])
    assert found.n > 40
    if role == NOBODY:
        assert found.by_status[401] > 20
