"""What converters do to indications, one thing after the other, however the stream is cut."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from dyncal.domain.samples import FloatArray
from simulators.converter import Conversion, Converter

DT_NS = 1_000_000


def converted(converter: Converter, y: FloatArray, *cuts: int) -> FloatArray:
    conversion = Conversion(converter, np.random.default_rng(3))
    since = DT_NS * np.arange(y.size, dtype=np.int64)
    bounds = itertools.pairwise((0, *cuts, y.size))
    return np.concatenate([conversion.convert(y[a:b], since[a:b]) for a, b in bounds])


def test_noise_quantiser_and_range() -> None:
    out = converted(Converter(noise=0.5, resolution=0.25, low=-1.0, high=1.0), np.zeros(20_000))
    assert out.min() == -1.0
    assert out.max() == 1.0
    assert np.all(out / 0.25 == np.round(out / 0.25))
    plain = converted(Converter(noise=0.5), np.zeros(20_000))
    assert np.std(plain) == pytest.approx(0.5, rel=0.03)


def test_play_follows_at_half_its_width_and_stays_where_the_direction_changes() -> None:
    up_and_down = np.array([0.0, 1.0, 2.0, 3.0, 2.5, 2.0, 1.0, 0.0, 0.5, 3.0])
    out = converted(Converter(hysteresis=2.0), up_and_down)
    np.testing.assert_array_equal(out, [0.0, 0.0, 1.0, 2.0, 2.0, 2.0, 2.0, 1.0, 1.0, 2.0])


def test_hum_is_a_sine_of_the_mains() -> None:
    out = converted(Converter(hum=0.3, hum_hz=49.7), np.ones(3000))
    t = 1e-3 * np.arange(3000)
    np.testing.assert_allclose(out, 1.0 + 0.3 * np.sin(2 * np.pi * 49.7 * t), atol=1e-10)


def test_a_value_that_stands_still_is_the_one_before() -> None:
    out = converted(Converter(frozen_ns=((3 * DT_NS, 6 * DT_NS),)), np.arange(8.0), 4)
    np.testing.assert_array_equal(out, [0, 1, 2, 2, 2, 2, 6, 7])
    from_the_start = converted(Converter(frozen_ns=((0, 2 * DT_NS),)), np.arange(4.0))
    np.testing.assert_array_equal(from_the_start, [0, 0, 2, 3])


def test_the_same_bits_however_the_stream_is_cut() -> None:
    converter = Converter(0.1, 0.01, -2.0, 2.0, 0.5, 0.2, 50.0, ((40 * DT_NS, 90 * DT_NS),))
    y = np.cumsum(np.random.default_rng(1).normal(size=300)) * 0.3
    whole = converted(converter, y)
    assert whole.tobytes() == converted(converter, y, 1, 45, 60, 200).tobytes()
