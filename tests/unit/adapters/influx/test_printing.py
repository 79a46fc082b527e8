"""Kernels that print lines against `repr`, byte for byte."""

from __future__ import annotations

import numpy as np
import pytest

from dyncal import kernels
from dyncal.adapters.influx import plain, printing
from dyncal.adapters.influx.columns import Columns
from dyncal.adapters.influx.printers import Printer
from dyncal.adapters.influx.scratch import Scratch
from dyncal.adapters.series import NO_CORRECTED, CorrectedRows, RawRows
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import Int64Array

COMPILED = kernels.warm_up(printing.__name__).n_kernels > 0
MANY = 1_000_000 if COMPILED else 200
RNG = np.random.default_rng


def sensor_of(t_ns: Int64Array, raw: FloatArray) -> Columns:
    rows = RawRows(t_ns, raw, np.zeros(t_ns.size, np.uint32))
    return Columns(rows, NO_CORRECTED, np.array([[t_ns.size, 0]], np.int64), [])


def printed(values: FloatArray, t_ns: Int64Array | None = None) -> list[str]:
    found = sensor_of(np.arange(values.size) if t_ns is None else t_ns, values)
    return bytes(printing.sample_lines(b"", [b""], found, [], Scratch())).decode().splitlines()


def assert_as_repr(values: FloatArray) -> None:
    found = printed(values)
    assert found == [f"raw={value!r},quality=0i {k}" for k, value in enumerate(values.tolist())]


def test_random_bits_are_printed_as_repr_does() -> None:
    values = RNG(11).integers(0, 2**64, MANY, dtype=np.uint64).view(np.float64)
    assert_as_repr(values[np.isfinite(values)])


def test_subnormals_are_printed_as_repr_does() -> None:
    bits = RNG(12).integers(0, 2**52, MANY // 5, dtype=np.uint64)
    assert_as_repr((bits >> RNG(13).integers(0, 52, bits.size, dtype=np.uint64)).view(np.float64))


@pytest.mark.parametrize("beside", [-1, 0, 1])
def test_powers_of_two_and_their_neighbours(beside: int) -> None:
    powers = np.ldexp(1.0, np.arange(-1074, 1024, 1 if COMPILED else 100))
    values = (powers.view(np.int64) + beside).view(np.float64)
    assert_as_repr(np.concatenate([values, -values]))


def test_short_decimals_of_every_magnitude() -> None:
    heads = ["1", "2", "5", "9", "1.5", "9.007199254740993", "4.35", "9.99999999999999"]
    step = 1 if COMPILED else 40
    values = np.array([float(f"{head}e{k}") for head in heads for k in range(-324, 308, step)])
    assert_as_repr(values)
    assert_as_repr(np.array([0.0, -0.0, 1e15, 1e16, 1e17, 1e22, 1e23, 1e-4, 1e-5, 123456.0, 5e-324, np.pi * 1e-4]))


def test_what_sensors_say() -> None:
    rng = RNG(14)
    n = MANY // 20
    for values in (rng.normal(size=n), np.round(rng.normal(size=n) * 1e3, 3), rng.integers(-(10**17), 10**17, n) / 1):
        assert_as_repr(values)


def test_instants_have_all_their_digits() -> None:
    t = np.unique(np.concatenate([[0, 1, 9], 10 ** np.arange(1, 19), 10 ** np.arange(1, 19) - 1, [9 * 10**18 - 1]]))
    t = np.unique(np.concatenate([t, RNG(15).integers(0, 9 * 10**18, MANY // 100)]))
    assert printed(np.ones(t.size), t) == [f"raw=1.0,quality=0i {instant}" for instant in t.tolist()]


def odd(rng: np.random.Generator, n: int) -> FloatArray:
    values = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e300, -2.5])
    return np.where(rng.random(n) < 0.4, rng.choice(values, n), rng.normal(size=n))


NAMES = ("", "one", "a set of eight and more", 'µ"')
FIELDS = [f'set="{name}"'.encode() for name in NAMES]


def mixed(rng: np.random.Generator, n_sensors: int, n: int) -> Columns:
    """Return sensors with up to `n` rows of each kind, a part of them at instants of both."""
    raw, corrected, ends = [], [], np.zeros((n_sensors, 2), np.int64)
    for k in range(n_sensors):
        instants = np.unique(rng.integers(0, 10 ** rng.integers(1, 19), n))
        some, others = (instants[rng.random(instants.size) < share] for share in rng.random(2))
        codes = rng.choice(np.array([0, 7, 0x8000_0000, 0xFFFF_FFFF], np.uint32), some.size)
        raw.append(RawRows(some, odd(rng, some.size), codes))
        index = rng.integers(0, len(NAMES), others.size).astype(np.int32)
        corrected.append(CorrectedRows(others, odd(rng, others.size), odd(rng, others.size), index))
        ends[k] = some.size, others.size
    return Columns(
        RawRows(*(np.concatenate(column) for column in zip(*raw, strict=True))),
        CorrectedRows(*(np.concatenate(column) for column in zip(*corrected, strict=True))),
        np.cumsum(ends, axis=0),
        NAMES,
    )


@pytest.mark.parametrize("seed", range(8))
def test_lines_equal_their_reference_whatever_is_missing(seed: int) -> None:
    rng = RNG(seed)
    scratch = Scratch()
    for n_sensors in (1, 2, 7):
        found = mixed(rng, n_sensors, 200 if COMPILED else 10)
        for longest in (1, 128):
            heads = [b"samples,sensor=%b " % (b"x" * rng.integers(1, longest + 1)) for _ in range(n_sensors)]
            expected = plain.sample_lines(b"before\n", heads, found, FIELDS, scratch)
            assert bytes(printing.sample_lines(b"before\n", heads, found, FIELDS, scratch)) == expected
            assert expected.count(b"\n") > n_sensors


@pytest.mark.parametrize("seed", range(4))
def test_lines_are_the_same_sensor_by_sensor(seed: int) -> None:
    found = mixed(RNG(seed), 5, 100 if COMPILED else 10)
    heads = [b"%d " % k for k in range(5)]
    together = bytes(printing.sample_lines(b"", heads, found, FIELDS, Scratch()))
    singly = []
    begin = [0, 0]
    for head, end in zip(heads, found.ends.tolist(), strict=True):
        raw, corrected = found.raw.at(slice(begin[0], end[0])), found.corrected.at(slice(begin[1], end[1]))
        alone = Columns(raw, corrected, np.array([[raw.t_ns.size, corrected.t_ns.size]]), NAMES)
        singly.append(bytes(printing.sample_lines(b"", [head], alone, FIELDS, Scratch())))
        begin = end
    assert together == b"".join(singly)


def test_no_rows_make_no_lines() -> None:
    assert printed(np.empty(0)) == []


def test_a_printer_goes_over_to_kernels_when_they_are_ready() -> None:
    printer = Printer()
    assert printer.sample_lines is plain.sample_lines
    thread = printer.begin()
    assert printer.begin() is thread
    thread.join(60)
    assert printer.sample_lines is (printing.sample_lines if COMPILED else plain.sample_lines)
