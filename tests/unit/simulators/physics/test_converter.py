"""What converters do to indications, one thing after the other, however the stream is cut."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from simulators.physics.converter import Coloured, Conversion, Converter

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


def test_a_crooked_characteristic_and_a_zero_that_jumps() -> None:
    out = converted(Converter(linearity=(0.1, -0.01), shifts=((3 * DT_NS, 0.5),)), np.arange(6.0))
    y = np.arange(6.0)
    np.testing.assert_allclose(out, y + 0.1 * y**2 - 0.01 * y**3 + 0.5 * (y >= 3))


def test_coloured_noise_has_the_deviation_and_the_correlation_of_its_equation_from_the_first_sample_on() -> None:
    phi = (1.2, -0.5)
    out = converted(Converter(noise=0.5, correlation=phi), np.zeros(200_000), 1, 7, 1000)
    assert np.std(out) == pytest.approx(0.5, rel=0.02)
    rho = [1.0, 1.2 / 1.5]
    rho.append(1.2 * rho[1] - 0.5 * rho[0])
    for lag in (1, 2):
        assert np.mean(out[lag:] * out[:-lag]) / np.var(out) == pytest.approx(rho[lag], abs=0.02)
    firsts = [Coloured(phi, np.random.default_rng(k)).take(2) for k in range(2000)]
    assert np.std([f[0] for f in firsts]) == pytest.approx(1.0, rel=0.05)
    assert np.mean([f[0] * f[1] for f in firsts]) == pytest.approx(rho[1], abs=0.06)
    with pytest.raises(InvalidData, match="without bound"):
        Coloured((1.0,), np.random.default_rng(1))


def test_coloured_noise_is_the_same_however_the_stream_is_cut() -> None:
    converter = Converter(noise=0.1, correlation=(0.9,))
    assert converted(converter, np.zeros(500)).tobytes() == converted(converter, np.zeros(500), 1, 45, 300).tobytes()
