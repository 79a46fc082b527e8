"""Values as OPC UA has them: status codes and source time stamps are carried over."""

from __future__ import annotations

import math
from typing import Any, Final

from asyncua import ua

from dyncal.domain import quality
from dyncal.domain.time import to_datetime
from services.api.frames import Latest
from services.api.state import SensorState, Standing

NO_DATA_YET: Final = 0x8032_0000  # Bad_WaitingForInitialData
GONE: Final = 0x8034_0000  # Bad_NodeIdUnknown
_SEVERITY: Final = 0xC000_0000

# OPC 10000-100, 4.5.4: DeviceHealthEnumeration. What cannot be told is no green light.
HEALTH_NAMES: Final = ("NORMAL", "FAILURE", "CHECK_FUNCTION", "OFF_SPEC", "MAINTENANCE_REQUIRED")
_HEALTH: Final = {
    SensorState.NORMAL: 0,
    SensorState.REFERENCE: 0,
    SensorState.FAILURE: 1,
    SensorState.CHECK_FUNCTION: 2,
    SensorState.LEARNING: 2,
    SensorState.CANNOT_TELL: 2,
    SensorState.OUT_OF_SPECIFICATION: 3,
    SensorState.MAINTENANCE_REQUIRED: 4,
}


def device_health(state: SensorState) -> int:
    """Return a state in the five of NAMUR NE 107; `learning` and `cannot_tell` are to be checked."""
    return _HEALTH[state]


class Shared(ua.DataValue):  # type: ignore[misc]  # asyncua has no types
    """A value that nobody alters: the library copies each it sends, deeply, which is most of the work."""

    __slots__ = ()

    def __deepcopy__(self, memo: object) -> Shared:
        return self


def data_value(value: Any, kind: Any, t_ns: int | None = None, code: int = quality.GOOD) -> Any:
    """Return a `DataValue`; without a value where the code is bad, and without a source time where none is known.

    Time stamps are to the microsecond: the library keeps them as the standard library does.
    """
    variant = ua.Variant(None, ua.VariantType.Null) if code & quality.BAD else ua.Variant(value, kind)
    at = None if t_ns is None or t_ns < 0 else to_datetime(t_ns)
    return Shared(Value=variant, StatusCode=ua.StatusCode(code), SourceTimestamp=at)


def raw(latest: Latest | None, stale: bool) -> Any:
    """Return the raw value, with the status code that its source gave it."""
    if latest is None or latest.raw_t_ns < 0:
        return _none()
    return _double(latest.raw, latest.raw_t_ns, aged(latest.quality, stale))


def corrected(latest: Latest | None, standing: Standing, stale: bool) -> Any:
    """Return the corrected value; uncertain where the sensor is out of tolerance."""
    if latest is None or latest.corrected_t_ns < 0:
        return _none()
    code = quality.GOOD
    if standing.state is SensorState.OUT_OF_SPECIFICATION:
        code = quality.UNCERTAIN_SENSOR_NOT_ACCURATE
    return _double(latest.corrected, latest.corrected_t_ns, aged(code, stale))


def uncertainty(latest: Latest | None, stale: bool) -> Any:
    """Return the standard uncertainty of the corrected value."""
    if latest is None or latest.corrected_t_ns < 0:
        return _none()
    return _double(latest.u, latest.corrected_t_ns, aged(quality.GOOD, stale))


def aged(code: int, stale: bool) -> int:
    """Return a status code as it stands for a value that is no longer live."""
    return quality.UNCERTAIN_LAST_USABLE_VALUE if stale and not code & _SEVERITY else code


def _double(value: float, t_ns: int, code: int) -> Any:
    if math.isnan(value) and not code & quality.BAD:
        code = NO_DATA_YET
    return data_value(value, ua.VariantType.Double, t_ns, code)


def _none() -> Any:
    return data_value(None, ua.VariantType.Double, None, NO_DATA_YET)
