"""Packing of columns of 8-byte numbers: byte planes, each deflated where that pays.

Measured values share sign, exponent and leading bits, and end in noise. Taken byte by byte, the first planes are one
byte over and over, or compress well, and the last ones do not at all; those are kept as they are, which makes unpacking
several times faster than inflating everything (Blosc's shuffle rests on the same observation).
"""

from __future__ import annotations

import struct
import zlib
from typing import Any, Final

import numpy as np
import numpy.typing as npt

_PLAIN: Final = b"\x00"
_PLANES: Final = b"\x01"
_WIDTH: Final = 8
_SMALL: Final = 1024
"""Fewer are kept as they are: they have just come, and are merged with others, and packed, soon."""

_PROBE: Final = 1024
# Sum of squared byte frequencies: 1/256 for noise. Above this level deflate takes off more than a sixth.
_WORTH_IT: Final = 0.008
_LEVEL: Final = 1


def pack(column: npt.NDArray[Any]) -> bytes:
    """Return the packed form of a float64 or int64 column, bit for bit, NaN payloads included."""
    little = np.ascontiguousarray(column, column.dtype.newbyteorder("<"))
    if little.size < _SMALL:
        return _PLAIN + little.tobytes()
    planes = np.ascontiguousarray(little.view(np.uint8).reshape(-1, _WIDTH).T)
    same = deflated = 0
    parts = []
    for k, plane in enumerate(planes):
        if bool(np.all(plane == plane[0])):
            same |= 1 << k
            parts.append(plane[:1].tobytes())
            continue
        packed = zlib.compress(plane, _LEVEL) if _compressible(plane) else b""
        if packed and len(packed) < plane.size:
            deflated |= 1 << k
            parts.append(struct.pack("<I", len(packed)) + packed)
        else:
            parts.append(plane.tobytes())
    return b"".join([_PLANES, bytes([same, deflated]), *parts])


def unpack(packed: bytes, n: int, kind: str) -> npt.NDArray[Any]:
    """Return the column of `n` numbers of `kind` (``"f8"`` or ``"i8"``). Raises ValueError if it cannot be one."""
    dtype = np.dtype(kind).newbyteorder("<")
    if packed[:1] == _PLAIN:
        column: npt.NDArray[Any] = np.frombuffer(packed, dtype, n, 1)
        return column
    if packed[:1] != _PLANES:
        raise ValueError(f"a column cannot begin with {packed[:1]!r}")
    same, deflated = packed[1], packed[2]
    position = 3
    alike = bytearray(_WIDTH)
    others: list[tuple[int, bytes]] = []
    for k in range(_WIDTH):
        if same >> k & 1:
            alike[k] = packed[position]
            position += 1
        elif deflated >> k & 1:
            (size,) = struct.unpack_from("<I", packed, position)
            others.append((k, zlib.decompress(packed[position + 4 : position + 4 + size], bufsize=n)))
            position += 4 + size
        else:
            others.append((k, packed[position : position + n]))
            position += n
    unpacked: npt.NDArray[Any] = np.full(n, np.frombuffer(alike, dtype)[0], dtype)
    planes = unpacked.view(np.uint8).reshape(n, _WIDTH)
    for k, plane in others:
        planes[:, k] = np.frombuffer(plane, np.uint8)
    return unpacked


def _compressible(plane: npt.NDArray[np.uint8]) -> bool:
    probe = plane[:: max(1, plane.size // _PROBE)]
    share = np.bincount(probe, minlength=256) / probe.size
    return bool(share @ share > _WORTH_IT)
