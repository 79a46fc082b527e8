"""Lines of samples, printed row by row in plain Python: the readable reference of `dyncal.adapters.influx.printing`."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from dyncal.domain.samples import SampleSeries


def sample_lines(
    head: bytes, rows: SampleSeries, with_quality: npt.NDArray[np.bool_], set_fields: Sequence[bytes]
) -> bytes:
    """Return a line for each row that has a field.

    Parameters
    ----------
    head : bytes
        What all lines begin with, up to and with the blank before the fields.
    with_quality : bool, shape (n,)
        Whether the row has a quality of its own.
    set_fields : sequence of bytes
        For each of ``rows.set_ids`` the field that names it.
    """
    columns = (rows.t_ns, rows.raw, rows.corrected, rows.u, rows.quality, with_quality, rows.set_index)
    lines = []
    for t, raw, corrected, u, code, has_code, index in zip(*(column.tolist() for column in columns), strict=True):
        fields = _field(b"raw", raw)
        if index >= 0:
            fields += _field(b"corrected", corrected) + _field(b"u", u)
            fields.append(set_fields[index])
        if has_code:
            fields.append(b"quality=%di" % code)
        if fields:
            lines.append(b"%b%b %d\n" % (head, b",".join(fields), t))
    return b"".join(lines)


def _field(name: bytes, value: float) -> list[bytes]:
    """Return a float field; nothing for NaN, an integer ±1 for an infinity, which InfluxDB has not."""
    if math.isnan(value):
        return []
    if math.isinf(value):
        return [b"%b_inf=%di" % (name, 1 if value > 0 else -1)]
    return [b"%b=%b" % (name, repr(value).encode())]
