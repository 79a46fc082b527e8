from __future__ import annotations

from dataclasses import dataclass

import pytest

from dyncal.domain.errors import InvalidData
from dyncal.identification.ranges import not_negative, positive, stated


@dataclass
class Settings:
    u: float | None


@pytest.mark.parametrize("value", [0.0, 1e-300, 1e300])
def test_a_value_that_is_not_negative_passes(value: float) -> None:
    not_negative(Settings(value), "u")
    if value != 0:
        positive(Settings(value), "u")


@pytest.mark.parametrize("value", [None, -1e-300, -1.0, float("inf"), float("-inf"), float("nan")])
def test_any_other_value_is_refused_by_name(value: float | None) -> None:
    with pytest.raises(InvalidData, match="u must be finite and not negative"):
        not_negative(Settings(value), "u")
    with pytest.raises(InvalidData, match="u must be finite and positive"):
        positive(Settings(value), "u")


def test_zero_is_not_positive() -> None:
    with pytest.raises(InvalidData, match="u must be finite and positive, not 0"):
        positive(Settings(0.0), "u")


def test_what_is_none_is_not_stated() -> None:
    assert stated(Settings(None), "u") == ()
    assert stated(Settings(0.0), "u") == ("u",)
