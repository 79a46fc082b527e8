"""Kernels that print lines against `repr`, byte for byte."""

from __future__ import annotations

import numpy as np
import pytest

from dyncal import kernels
from dyncal.adapters.influx import plain, printing
from dyncal.adapters.influx.printers import Printer
from dyncal.domain.samples import FloatArray, SampleSeries
from dyncal.domain.time import Int64Array

COMPILED = kernels.warm_up(printing.__name__).n_kernels > 0
MANY = 1_000_000 if COMPILED else 200
RNG = np.random.default_rng


def printed(values: FloatArray, t_ns: Int64Array | None = None) -> list[str]:
    n = values.size
    rows = SampleSeries(
        t_ns=np.arange(n) if t_ns is None else t_ns,
        raw=values,
        corrected=np.full(n, np.nan),
        u=np.full(n, np.nan),
        quality=np.zeros(n, np.uint32),
        set_index=np.full(n, -1, np.int32),
    )
    return printing.sample_lines(b"", rows, np.zeros(n, bool), []).decode().splitlines()


def assert_as_repr(values: FloatArray) -> None:
    found = printed(values)
    assert found == [f"raw={value!r} {k}" for k, value in enumerate(values.tolist())]


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
    assert printed(np.ones(t.size), t) == [f"raw=1.0 {instant}" for instant in t.tolist()]


def mixed(rng: np.random.Generator, n: int) -> tuple[SampleSeries, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    odd = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e300, -2.5])
    columns = [np.where(rng.random(n) < 0.4, rng.choice(odd, n), rng.normal(size=n)) for _ in range(3)]
    names = ("", "one", "a set of eight and more", 'µ"')
    rows = SampleSeries(
        t_ns=np.sort(rng.integers(0, 10**18, n)),
        raw=columns[0],
        corrected=columns[1],
        u=columns[2],
        quality=rng.choice(np.array([0, 7, 0x8000_0000, 0xFFFF_FFFF], np.uint32), n),
        set_index=rng.integers(-1, len(names), n).astype(np.int32),
        set_ids=names,
    )
    return rows, rng.random(n) < 0.7


@pytest.mark.parametrize("seed", range(5))
def test_lines_equal_their_reference_whatever_is_missing(seed: int) -> None:
    rows, with_quality = mixed(RNG(seed), 400 if COMPILED else 20)
    fields = [f'set="{name}"'.encode() for name in rows.set_ids]
    for head in (b"samples,sensor=a ", b"samples,sensor=%b " % (b"x" * 128)):
        expected = plain.sample_lines(head, rows, with_quality, fields)
        assert printing.sample_lines(head, rows, with_quality, fields) == expected
    lines = [plain.sample_lines(b"", part(rows, k), with_quality[k : k + 1], fields) for k in range(len(rows))]
    assert printing.sample_lines(b"", rows, with_quality, fields) == b"".join(lines)


def part(rows: SampleSeries, k: int) -> SampleSeries:
    columns = {name: getattr(rows, name)[k : k + 1] for name in ("t_ns", "raw", "corrected", "u", "quality")}
    return SampleSeries(**columns, set_index=rows.set_index[k : k + 1], set_ids=rows.set_ids)


def test_no_rows_make_no_lines() -> None:
    assert printed(np.empty(0)) == []


def test_a_printer_goes_over_to_kernels_when_they_are_ready() -> None:
    printer = Printer()
    assert printer.sample_lines is plain.sample_lines
    thread = printer.begin()
    assert printer.begin() is thread
    thread.join(60)
    assert printer.sample_lines is (printing.sample_lines if COMPILED else plain.sample_lines)
