"""Lines of samples, printed row by row in plain Python: the readable reference of `dyncal.adapters.influx.printing`."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dyncal.adapters.influx.columns import Columns
from dyncal.adapters.influx.scratch import Scratch


def sample_lines(
    first: bytes, heads: Sequence[bytes], columns: Columns, set_fields: Sequence[bytes], scratch: Scratch
) -> bytes:
    """Return a line for each instant of each sensor.

    Parameters
    ----------
    first : bytes
        What comes before the lines.
    heads : sequence of bytes
        For each sensor what its lines begin with, up to and with the blank before the fields.
    set_fields : sequence of bytes
        For each of ``columns.set_ids`` the field that names it.
    scratch : Scratch
        Memory that may be used.
    """
    del scratch
    lines = [first]
    begin = [0, 0]
    for head, end in zip(heads, columns.ends.tolist(), strict=True):
        fields: dict[int, list[bytes]] = {}
        raw, corrected = columns.raw.at(slice(begin[0], end[0])), columns.corrected.at(slice(begin[1], end[1]))
        for t, value, _ in zip(*(column.tolist() for column in raw), strict=True):
            fields[t] = _field(b"raw", value)
        for t, value, u, k in zip(*(column.tolist() for column in corrected), strict=True):
            if not math.isnan(value):
                fields.setdefault(t, []).extend([*_field(b"corrected", value), *_field(b"u", u), set_fields[k]])
        for t, _, code in zip(*(column.tolist() for column in raw), strict=True):
            fields[t].append(b"quality=%di" % code)
        lines += [b"%b%b %d\n" % (head, b",".join(fields[t]), t) for t in sorted(fields)]
        begin = end
    return b"".join(lines)


def _field(name: bytes, value: float) -> list[bytes]:
    """Return a float field; nothing for NaN, an integer ±1 for an infinity, which InfluxDB has not."""
    if math.isnan(value):
        return []
    if math.isinf(value):
        return [b"%b_inf=%di" % (name, 1 if value > 0 else -1)]
    return [b"%b=%b" % (name, repr(value).encode())]
