"""What docs/integrations.md shows works as it is shown."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dyncal.domain.time import NS_PER_S
from dyncal.runtime.clocks import SystemClock
from services.api.outlets.signing import headers, read_keys
from services.api.outlets.webhook import body_of
from tests.unit.services.api.outlets.alarms import change

DOCUMENT = Path(__file__).parents[5] / "docs" / "integrations.md"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def verify() -> Callable[..., None]:
    (code,) = [part for part in re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL) if "verify" in part]
    assert len(code.splitlines()) <= 16
    scope: dict[str, Any] = {}
    exec(code, scope)
    found: Callable[..., None] = scope["verify"]
    return found


def test_the_lines_that_verify_a_webhook_take_ours_and_nothing_else(
    tmp_path: Path, verify: Callable[..., None]
) -> None:
    other = "whsec_" + "A" * 43 + "="
    (tmp_path / "secret").write_text(f"{other} {SECRET}")
    keys, body, now_s = read_keys(tmp_path / "secret", "here"), body_of(change(1)), SystemClock().now() // NS_PER_S
    good = headers(keys, "plant-1", now_s, body)
    verify(body, good, SECRET)
    verify(body, good, other)
    for wrong in (
        (body + b" ", good, SECRET),
        (body, {**good, "webhook-id": "plant-2"}, SECRET),
        (body, {**good, "webhook-timestamp": str(now_s + 1)}, SECRET),
        (body, good, "whsec_" + "B" * 43 + "="),
        (body, headers(keys, "plant-1", now_s - 400, body), SECRET),
    ):
        with pytest.raises(ValueError, match=r"may be a replay|not ours"):
            verify(*wrong)
