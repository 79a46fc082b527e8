from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dyncal.correction.streaming.record import correct
from dyncal.correction.streaming.stream import StreamingCorrector
from dyncal.correction.streaming.uniform import UniformCorrector
from dyncal.domain.errors import InvalidData
from dyncal.kernels import HAVE_NUMBA
from tests.unit.correction.examples import arbitrary_set, instants

COMPILED = pytest.mark.parametrize("compiled", [True, False] if HAVE_NUMBA else [False])


@COMPILED
@pytest.mark.parametrize("sections", [0, 2])
@pytest.mark.parametrize("shared", [True, False])
def test_has_the_numbers_of_the_stream_in_blocks_of_any_size(compiled: bool, sections: int, shared: bool) -> None:
    coefficients = arbitrary_set(np.random.default_rng(3), sections=sections, shared=shared)
    y = np.cumsum(np.random.default_rng(1).normal(size=1300)) * 0.1
    y[[40, 41, 700]] = np.nan, 1e200, np.inf
    t = instants(y.size)
    delay = coefficients.filter.delay
    made = UniformCorrector(coefficients.filter, coefficients.parameters, u_t_s=2e-3, compiled=compiled)
    assert made.delay == delay
    cuts = [0, 1, 2, 3, 5, 40, 50, 600, 700, 701]
    parts = [made.process(part) for part in np.split(y, cuts)]
    value, u = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
    span = StreamingCorrector(coefficients, compiled=compiled).process(t, y, u_t_ns=2e6)
    assert span is not None
    steady = StreamingCorrector(coefficients, compiled=compiled)
    spans = [steady.process(a, b, u_t_ns=2e6) for a, b in zip(np.split(t, cuts), np.split(y, cuts), strict=True)]
    pieces = [piece for piece in spans if piece is not None]
    assert np.array_equal(np.concatenate([piece.axis.t_ns for piece in pieces]), t[: y.size - delay])
    whole = correct(coefficients.filter, coefficients.parameters, y, u_t_s=2e-3, compiled=compiled)
    assert np.isfinite(value).sum() > 900
    others = {
        "stream": (span.value, span.u),
        "stream in blocks": tuple(np.concatenate([getattr(p, name) for p in pieces]) for name in ("value", "u")),
        "record": (whole[0][: y.size - delay], whole[1][: y.size - delay]),
    }
    for other in others.values():
        for one, known in zip((value[delay:], u[delay:]), other, strict=True):
            if compiled:
                np.testing.assert_array_equal(one, known)
            else:
                np.testing.assert_allclose(one, known, rtol=1e-11, atol=1e-12)


@COMPILED
def test_starts_again_and_writes_where_it_is_told(compiled: bool) -> None:
    coefficients = arbitrary_set(np.random.default_rng(3), sections=1)
    made = UniformCorrector(coefficients.filter, coefficients.parameters, compiled=compiled)
    y = np.random.default_rng(1).normal(size=200)
    first = made.process(y)
    made.reset()
    out = np.empty(200), np.empty(200)
    made.process(y, out=out)
    for one, other in zip(first, out, strict=True):
        np.testing.assert_array_equal(one, other)
    assert made.process(np.empty(0))[0].size == 0


def test_bad_input_is_refused_by_name() -> None:
    coefficients = arbitrary_set(np.random.default_rng(3))
    for u_t_s in (-1.0, np.nan, np.inf):
        with pytest.raises(InvalidData, match="u_t_s"):
            UniformCorrector(coefficients.filter, coefficients.parameters, u_t_s=u_t_s)
    made = UniformCorrector(coefficients.filter, coefficients.parameters)
    blocks: list[Any] = [np.ones((2, 2)), np.ones(2, np.complex128), ["x"]]
    for raw in blocks:
        with pytest.raises(InvalidData):
            made.process(raw)
