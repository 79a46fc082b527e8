"""Sets with a smoother on the wire: round trip, what readers of version 1 make of them, and nonsense."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyncal.contracts import coefficients
from dyncal.domain.coefficients import CoefficientSet, CorrectionSmoother, MeasurandPrior, Parameters, Provenance
from dyncal.domain.errors import InvalidData, MalformedMessage
from dyncal.domain.sensors import ModelKind, SensorId
from dyncal.domain.time import DurationNs, InstantNs

_POSITIVE = st.floats(1e-300, 1e300)
SMOOTHER = CorrectionSmoother(
    DurationNs(100_000_000), DurationNs(1_900_000_000), MeasurandPrior.BUTTERWORTH, 1.25, 2.26, 2, 0.01, 0.3
)


def with_smoother(smoother: CorrectionSmoother = SMOOTHER) -> CoefficientSet:
    parameters = Parameters(ModelKind.FIRST_ORDER, ("gain", "tau_s"), np.array([1.0, 0.5]), np.diag([1e-6, 1e-4]))
    t = InstantNs(1_700_000_000_000_000_000)
    provenance = Provenance("c1", SensorId("TT1R"), t, t, t, 1000)
    return CoefficientSet("TT1.2", SensorId("TT1"), 2, None, parameters, smoother, (0.9, 1.1), t, provenance, 0.04)


def changed(**changes: Any) -> bytes:
    """The canonical text with fields replaced; dotted names reach below: ``smoother__order=0``."""
    fields: dict[str, Any] = msgspec.json.decode(coefficients.canonical(with_smoother()))
    for name, value in changes.items():
        outer, _, inner = name.partition("__")
        if inner:
            fields[outer][inner] = value
        elif value is None:
            del fields[outer]
        else:
            fields[outer] = value
    return msgspec.json.encode(fields)


@given(
    st.builds(
        CorrectionSmoother,
        st.integers(1, 2**50).map(DurationNs),
        st.integers(0, 2**50).map(DurationNs),
        st.sampled_from(MeasurandPrior),
        _POSITIVE,
        _POSITIVE,
        st.integers(1, 8),
        _POSITIVE,
        st.floats(0, 1e300),
    )
)
def test_round_trip(smoother: CorrectionSmoother) -> None:
    written = coefficients.canonical(with_smoother(smoother))
    back = coefficients.open_set(written)
    assert back.correction == smoother
    assert coefficients.canonical(back) == written


def test_a_reader_of_version_1_refuses_by_version() -> None:
    """It decodes its own message, then looks at the version: `SetMessage` is what it has had ever since."""
    read = msgspec.json.decode(coefficients.canonical(with_smoother()), type=coefficients.SetMessage)
    assert read.v == 2
    assert read.filter.fir == [0.0]
    low, high = read.gain_limits
    assert not low <= sum(read.filter.fir) <= high, "even one that does not look at the version refuses it"


def test_a_version_to_come_is_named_whatever_it_looks_like() -> None:
    with pytest.raises(MalformedMessage, match="set of version 9; this program reads 1, 2, 3, 4"):
        coefficients.open_set(b'{"v": 9, "id": "TT1.3", "neural": true}')


@pytest.mark.parametrize(
    "changes",
    [
        {"smoother": None},
        {"smoother": {}},
        {"smoother": [1]},
        {"smoother__order": 0},
        {"smoother__order": 9},
        {"smoother__order": 2.5},
        {"smoother__prior": "white"},
        {"smoother__latency_ns": -1},
        {"smoother__latency_ns": 1 << 70},
        {"smoother__dt_ns": 0},
        {"smoother__density": 0.0},
        {"smoother__density": "1"},
        {"smoother__corner_rad_s": -1.0},
        {"smoother__noise_std": 0.0},
        {"smoother__band_hz": -1.0},
        {"v": 0},
        {"v": "2"},
    ],
    ids=str,
)
def test_nonsense_is_malformed(changes: dict[str, Any]) -> None:
    coefficients.open_set(changed())
    with pytest.raises(MalformedMessage):
        coefficients.open_set(changed(**changes))


@pytest.mark.parametrize("name", ["density", "corner_rad_s", "noise_std", "band_hz"])
@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_what_is_not_finite_is_not_written(name: str, number: float) -> None:
    changes: dict[str, Any] = {name: number}
    with pytest.raises(InvalidData, match="not finite"):
        coefficients.canonical(with_smoother(replace(SMOOTHER, **changes)))


def test_a_set_with_a_smoother_has_no_filter_to_misapply() -> None:
    with pytest.raises(InvalidData, match="smoother"):
        _ = with_smoother().filter
