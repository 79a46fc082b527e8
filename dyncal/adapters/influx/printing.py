"""Compiled printing of line protocol: the shortest decimal that reads back to the same float64, instants, whole lines.

The digits are found by Schubfach (R. Giulietti, "The Schubfach way to render doubles", 2020, figures 4 and 6): the ends
of the interval that rounds to the float, scaled by a power of ten in 128 bits, and the shortest decimal between them.
They are laid out as Python's `repr` does. `dyncal.adapters.influx.plain` is the readable reference, equal to the byte.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from dyncal.adapters.influx.columns import Columns
from dyncal.adapters.influx.scratch import Scratch
from dyncal.domain.time import Int64Array
from dyncal.kernels import high_product, kernel

Bytes = npt.NDArray[np.uint8]
Bits = npt.NDArray[np.uint64]
Int16Array = npt.NDArray[np.int16]

_LONGEST = 3 * 36 + 20 + 21  # bytes of the fields, the instant and the newline of a line, without its set

_LEAST = -292  # powers of ten that a float64 can ask for
_MOST = 324


def _powers() -> Bits:
    """Return 10^k for k = -292 … 324 as 128 bits, high and low half: the first 128 of its binary digits, rounded up."""
    rows = []
    for k in range(_LEAST, _MOST + 1):
        shift = ((k * 1741647) >> 19) - 127  # 10^k = mantissa 2^shift with 2^127 <= mantissa < 2^128
        over = 10 ** max(k, 0) << max(-shift, 0)
        under = 10 ** max(-k, 0) << max(shift, 0)
        mantissa = -(-over // under)
        rows.append((mantissa >> 64, mantissa & (1 << 64) - 1))
    return np.array(rows, np.uint64)


_POWERS = _powers()
_TENS = np.array([10**k for k in range(20)], np.uint64)


def words(texts: Sequence[bytes]) -> tuple[Bits, Int64Array]:
    """Return texts in words of eight bytes, a row a text, with zeros behind it, and their sizes."""
    width = -(-max(map(len, texts), default=0) // 8)
    rows = np.frombuffer(b"".join(text.ljust(8 * width, b"\0") for text in texts), "<u8").astype(np.uint64)
    return rows.reshape(len(texts), width), np.array([len(text) for text in texts], np.int64)


_FIELDS, _FIELD_SIZES = words(b"raw= corrected= u= quality=".split())  # of two words
_INFINITIES, _INFINITY_SIZES = words(
    b"raw_inf=1i corrected_inf=1i u_inf=1i raw_inf=-1i corrected_inf=-1i u_inf=-1i".split()
)

_LOW = np.uint64(0xFFFF_FFFF)
_FRACTION = np.uint64((1 << 52) - 1)
_HIDDEN = np.uint64(1 << 52)
_0, _1, _2, _3, _4, _5, _6, _7 = (np.uint64(k) for k in range(8))
_8, _10, _16, _20, _24, _32 = np.uint64(8), np.uint64(10), np.uint64(16), np.uint64(20), np.uint64(24), np.uint64(32)
_40, _48, _52, _56, _63 = np.uint64(40), np.uint64(48), np.uint64(52), np.uint64(56), np.uint64(63)
_100, _E4, _E8, _E16 = np.uint64(100), np.uint64(10**4), np.uint64(10**8), np.uint64(10**16)
_INFINITE = np.uint64(0x7FF << 52)
_BYTE = np.uint64(0xFF)
# Digits side by side in a word: n * _PER_100 >> 20 is n // 100 for n < 10^4, n * _PER_10 >> 10 is n // 10 for n < 100.
_PER_100, _PER_10 = np.uint64(10486), np.uint64(103)
_TWO, _FOUR, _ZEROS = np.uint64(0x7F_0000_007F), np.uint64(0xF_000F_000F_000F), np.uint64(0x3030_3030_3030_3030)


def sample_lines(
    first: bytes, heads: Sequence[bytes], columns: Columns, set_fields: Sequence[bytes], scratch: Scratch
) -> memoryview:
    """Return a line for each instant of each sensor, in memory of `scratch`; see `dyncal.adapters.influx.plain`."""
    head_words, head_sizes = words(heads)
    set_words, set_sizes = words([field + b"," for field in set_fields])
    raw, corrected = columns.raw, columns.corrected
    n, m = raw.t_ns.size, corrected.t_ns.size
    longest = 8 * (head_words.shape[1] + set_words.shape[1]) + _LONGEST
    out = scratch.array("out", len(first) + (n + m) * longest + 8, np.uint8)
    out[: len(first)] = np.frombuffer(first, np.uint8)
    bits, digits = (scratch.array(name, n + 2 * m, np.uint64) for name in ("bits", "digits"))
    sizes, points = (scratch.array(name, n + 2 * m, np.int16) for name in ("sizes", "points"))
    np.concatenate([column.view(np.uint64) for column in (raw.value, corrected.value, corrected.u)], out=bits)
    find_digits(bits, digits, sizes, points)
    n_bytes = put_lines(
        out, len(first), head_words, head_sizes, columns.ends, raw.t_ns, raw.quality, corrected.t_ns,
        corrected.set_index, bits, digits, sizes, points, set_words, set_sizes,
    )  # fmt: skip
    return out.data[:n_bytes]


@kernel(inline=True)
def _long_high(a: np.uint64, b: np.uint64) -> np.uint64:
    """Return the upper 64 of the 128 bits of a b."""
    a0, a1, b0, b1 = a & _LOW, a >> _32, b & _LOW, b >> _32
    cross = a1 * b0 + ((a0 * b0) >> _32)
    other = a0 * b1 + (cross & _LOW)
    return a1 * b1 + (cross >> _32) + (other >> _32)


_high = high_product(_long_high)


@kernel(inline=True)
def _scaled(high: np.uint64, low: np.uint64, c: np.uint64) -> np.uint64:
    """Return the upper 64 of the 192 bits of (high 2^64 + low) c, odd where anything was cut off."""
    middle = high * c
    total = middle + _high(low, c)
    top = _high(high, c) + (_1 if total < middle else _0)
    return top | (_1 if total > _1 else _0)


@kernel(inline=True)
def _decimal(bits: np.uint64) -> tuple[np.uint64, np.uint64]:
    """Return digits d and exponent e + 400 with d 10^e the shortest decimal that reads back to the finite float > 0."""
    fraction, biased = bits & _FRACTION, np.int64((bits >> _52) & np.uint64(0x7FF))
    c = fraction if biased == 0 else fraction | _HIDDEN
    q = biased - 1075 if biased else np.int64(-1074)
    if -52 <= q <= 0 and c & ((_1 << np.uint64(-q)) - _1) == _0:
        return c >> np.uint64(-q), np.uint64(400)  # a whole number
    closer = fraction == _0 and biased > 1  # a power of two: the lower neighbour is nearer than the upper one
    k = (q * 1262611 - (524031 if closer else 0)) >> 22
    h = np.uint64(q + ((-k * 1741647) >> 19) + 1)
    high, low = _POWERS[-k - _LEAST, 0], _POWERS[-k - _LEAST, 1]
    open_ends = c & _1  # an even significand takes in the ends of its interval
    lower = _scaled(high, low, (_4 * c - (_1 if closer else _2)) << h) + open_ends
    value = _scaled(high, low, (_4 * c) << h)
    upper = _scaled(high, low, (_4 * c + _2) << h) - open_ends
    s = value >> _2
    if s >= _10:
        short = s // _10
        below, above = lower <= _40 * short, _40 * short + _40 <= upper
        if below != above:
            return short + (_1 if above else _0), np.uint64(k + 401)
    below, above = lower <= _4 * s, _4 * s + _4 <= upper
    if below != above:
        return s + (_1 if above else _0), np.uint64(k + 400)
    middle = _4 * s + _2
    up = value > middle or (value == middle and s & _1 == _1)
    return s + (_1 if up else _0), np.uint64(k + 400)


@kernel(inline=True)
def _count(value: np.uint64) -> int:
    """Return how many digits a whole number has."""
    n = 16 if value >= _TENS[15] else 1
    while n < 20 and value >= _TENS[n]:
        n += 1
    return n


@kernel("void(u8[::1], u8[::1], i2[::1], i2[::1])")
def find_digits(bits: Bits, digits: Bits, sizes: Int16Array, points: Int16Array) -> None:
    """Find the shortest decimal of each float: ``0.digits · 10^point``, its digits without zeros at the end.

    `sizes` tells how many digits there are: 0 for what is not finite. Apart from the writing, so that no number waits
    for the end of the one before it.
    """
    for k in range(bits.size):
        magnitude = bits[k] & ~(_1 << _63)
        digits[k], sizes[k], points[k] = _0, 1, 1
        if magnitude & _INFINITE == _INFINITE:
            sizes[k] = 0
        elif magnitude != _0:
            shortest, shifted = _decimal(magnitude)
            # Whoever divides by constants divides fast. There are fewer than 16 zeros.
            exponent = np.int64(shifted) - 400
            if shortest % _10 == _0:  # seldom, of measured values
                if shortest % _E8 == _0:
                    shortest, exponent = shortest // _E8, exponent + 8
                if shortest % _E4 == _0:
                    shortest, exponent = shortest // _E4, exponent + 4
                if shortest % _100 == _0:
                    shortest, exponent = shortest // _100, exponent + 2
                if shortest % _10 == _0:
                    shortest, exponent = shortest // _10, exponent + 1
            size = _count(shortest)
            digits[k], sizes[k], points[k] = shortest, size, size + exponent


@kernel(inline=True)
def _put_eight(out: Bytes, at: int, word: np.uint64) -> None:
    """Write the eight bytes of a word, the lowest first; the compiler makes one store of them."""
    to = np.uint64(at)  # an unsigned place needs no check for wrapping
    out[to], out[to + _1] = word & _BYTE, word >> _8 & _BYTE
    out[to + _2], out[to + _3] = word >> _16 & _BYTE, word >> _24 & _BYTE
    out[to + _4], out[to + _5] = word >> _32 & _BYTE, word >> _40 & _BYTE
    out[to + _6], out[to + _7] = word >> _48 & _BYTE, word >> _56


@kernel(inline=True)
def _put_words(out: Bytes, at: int, texts: Bits, which: int) -> None:
    """Write a text that is kept in words; they may reach beyond its end."""
    for k in range(texts.shape[1]):  # a view of its row would cost more than its words
        _put_eight(out, at + 8 * k, texts[which, k])


@kernel(inline=True)
def _put_up_to_eight(out: Bytes, at: int, value: np.uint64) -> None:
    """Write the eight digits of a number below 10^8: its halves side by side in a word, their halves, their digits."""
    upper = value // _E4
    halves = upper | (value - upper * _E4) << _32
    upper = (halves * _PER_100 >> _20) & _TWO
    pairs = upper | (halves - upper * _100) << _16
    upper = (pairs * _PER_10 >> _10) & _FOUR
    _put_eight(out, at, (upper | (pairs - upper * _10) << _8) + _ZEROS)


@kernel(inline=True)
def _put_digits(out: Bytes, at: int, value: np.uint64, n: int) -> int:
    """Write the last `n` digits (20 at most) of a whole number, and return where they end; zeros may follow."""
    if n > 16:
        upper = value // _E16
        value -= upper * _E16
        _put_up_to_eight(out, at, upper * _TENS[24 - n])
        at, n = at + n - 16, 16
    if n > 8:
        value *= _TENS[16 - n]
        upper = value // _E8
        value -= upper * _E8
        _put_up_to_eight(out, at, upper)
        _put_up_to_eight(out, at + 8, value)
    else:
        _put_up_to_eight(out, at, value * _TENS[8 - n])
    return at + n


@kernel(inline=True)
def _put_decimal(out: Bytes, at: int, digits: np.uint64, size: int, point: int) -> int:
    """Write ``0.digits · 10^point`` as `repr` does, and return where it ends."""
    if 0 < point < size and point <= 16:  # the point moves between digits that are there: no division
        end = _put_digits(out, at + 1, digits, size)
        for k in range(at, at + point):
            out[np.uint64(k)] = out[np.uint64(k + 1)]
        out[np.uint64(at + point)] = 46  # .
        return end
    plain = -4 < point <= 16
    after = size - (point if plain else 1)  # digits behind the decimal point
    if after >= size:
        whole, fraction = _0, digits
    elif after > 0:
        whole = digits // _TENS[after]
        fraction = digits - whole * _TENS[after]
    else:
        whole, fraction = digits * _TENS[-after], _0
    at = _put_digits(out, at, whole, max(point, 1) if plain else 1)
    if plain or after > 0:
        out[np.uint64(at)] = 46  # .
        at = _put_digits(out, at + 1, fraction, max(after, 1))
    if not plain:
        size = abs(point - 1)
        out[np.uint64(at)], out[np.uint64(at + 1)] = 101, 45 if point < 1 else 43  # e, - or +
        at = _put_digits(out, at + 2, np.uint64(size), 3 if size >= 100 else 2)
    return at


@kernel(
    "i8(u1[::1], i8, u8[:,::1], i8[::1], i8[:,::1], i8[::1], u4[::1], i8[::1], i4[::1], u8[::1], u8[::1], i2[::1],"
    " i2[::1], u8[:,::1], i8[::1])",
    counted=False,
)
def put_lines(
    out: Bytes,
    at: int,
    heads: Bits,
    head_sizes: Int64Array,
    ends: Int64Array,
    raw_t_ns: Int64Array,
    quality: npt.NDArray[np.uint32],
    corrected_t_ns: Int64Array,
    set_index: npt.NDArray[np.int32],
    bits: Bits,
    digits: Bits,
    sizes: Int16Array,
    points: Int16Array,
    sets: Bits,
    set_sizes: Int64Array,
) -> int:
    """Write a line for each instant of each sensor from `at` on, and return where they end.

    Parameters
    ----------
    out : as many bytes as the lines may need, and 8 more
    heads, head_sizes : what the lines of each sensor begin with, of `words`
    ends, raw_t_ns, quality, corrected_t_ns, set_index : of `dyncal.adapters.influx.columns.Columns`
    bits : uint64, shape (n + 2 m,)
        The bits of raw, corrected and u; NaN where there is none. An infinity becomes an integer ±1 in ``…_inf``.
    digits, sizes, points : shape (n + 2 m,)
        What `find_digits` found for them.
    sets, set_sizes : the fields for the sets, of `words`
    """
    n, m = raw_t_ns.size, corrected_t_ns.size
    r = c = 0
    for sensor in range(ends.shape[0]):
        while r < ends[sensor, 0] or c < ends[sensor, 1]:
            more_raw, more_corrected = r < ends[sensor, 0], c < ends[sensor, 1]
            if more_corrected and bits[n + c] & ~(_1 << _63) > _INFINITE:  # NaN
                c += 1
                continue
            with_raw = more_raw and (not more_corrected or raw_t_ns[r] <= corrected_t_ns[c])
            with_corrected = more_corrected and (not more_raw or corrected_t_ns[c] <= raw_t_ns[r])
            _put_words(out, at, heads, sensor)
            at += head_sizes[sensor]
            for column in range(0 if with_raw else 1, 3 if with_corrected else 1):
                k = r if column == 0 else n + (column - 1) * m + c
                negative, size = bits[k] >> _63 == _1, int(sizes[k])
                if size > 0:
                    _put_eight(out, at, _FIELDS[column, 0])
                    _put_eight(out, at + 8, _FIELDS[column, 1])
                    at += _FIELD_SIZES[column]
                    out[np.uint64(at)] = 45  # -
                    at = _put_decimal(out, at + int(negative), digits[k], size, int(points[k]))
                elif bits[k] & _FRACTION == _0:
                    name = column + (3 if negative else 0)
                    _put_words(out, at, _INFINITIES, name)
                    at += _INFINITY_SIZES[name]
                else:
                    continue  # NaN
                out[np.uint64(at)] = 44  # ,
                at += 1
            if with_corrected:
                _put_words(out, at, sets, set_index[c])
                at += set_sizes[set_index[c]]
            if with_raw:
                _put_eight(out, at, _FIELDS[3, 0])
                code = np.uint64(quality[r])
                at = _put_digits(out, at + _FIELD_SIZES[3], code, _count(code))
                out[np.uint64(at)], out[np.uint64(at + 1)] = 105, 44  # i,
                at += 2
            out[np.uint64(at - 1)] = 32  # a blank in place of the last comma
            t = np.uint64(raw_t_ns[r] if with_raw else corrected_t_ns[c])
            at = _put_digits(out, at, t, _count(t))
            out[np.uint64(at)] = 10
            at += 1
            r += int(with_raw)
            c += int(with_corrected)
    return at
