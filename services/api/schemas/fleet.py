"""All sensors at once, in columns: what a table of thousands needs."""

from __future__ import annotations

from services.api.schemas.base import InstantNs, Shape, example


class FleetOut(Shape):
    """All sensors in order of id, a column for each property; all arrays have one length. Null: not known, or none.

    The meanings are those of `SensorOut`, `LatestOut` and `ActiveSetOut`.
    """

    model_config = example(
        now_ns=1_769_860_800_000_000_000,
        n_unread=0,
        id=["TT-101"],
        site=["plant"],
        edge=["edge-1"],
        unit=["Cel"],
        label=["Reactor inlet"],
        dt_ns=[100_000_000],
        state=["normal"],
        state_detail=[""],
        state_since_ns=[None],
        edge_online=[True],
        stale_after_s=[5.0],
        reference=["TT-101-REF"],
        model=["first_order"],
        reference_of=[[]],
        t_ns=[1_769_860_799_900_000_000],
        raw=[21.3],
        quality=[0],
        corrected_t_ns=[1_769_860_799_400_000_000],
        corrected=[21.7],
        u=[0.08],
        set_id=["TT-101.4"],
        active_id=["TT-101.4"],
        active_sequence=[4],
        active_since_ns=[1_769_774_400_000_000_000],
        active_band_hz=[1.2],
        active_latency_s=[0.5],
        alarms=[[]],
    )

    now_ns: InstantNs
    """The server's clock."""
    n_unread: int
    """Sensors whose last values could not be read from the store in time: they stand as `cannot_tell`. Ask again."""
    id: list[str]
    site: list[str]
    edge: list[str]
    unit: list[str]
    label: list[str]
    dt_ns: list[int]
    state: list[str]
    state_detail: list[str]
    state_since_ns: list[int | None]
    edge_online: list[bool | None]
    stale_after_s: list[float]
    reference: list[str | None]
    model: list[str | None]
    reference_of: list[list[str]]
    t_ns: list[int | None]
    raw: list[float | None]
    quality: list[int]
    corrected_t_ns: list[int | None]
    corrected: list[float | None]
    u: list[float | None]
    """Standard uncertainty of `corrected` (k = 1), in the sensor's unit."""
    set_id: list[str | None]
    """Set that made `corrected`."""
    active_id: list[str | None]
    active_sequence: list[int | None]
    active_since_ns: list[int | None]
    active_band_hz: list[float | None]
    active_latency_s: list[float | None]
    alarms: list[list[str]]
    """Ids of the alarms that are active."""


class DriftTrendsOut(Shape):
    """How sensors have moved over their last calibrations, in columns; sensors that were calibrated once are not in it.

    Of each sensor the parameter that moved most for its uncertainty, from the oldest of at most twelve accepted
    calibrations to the newest.
    """

    model_config = example(
        sensor=["TT-101"],
        parameter=["tau_s"],
        change=[0.034],
        u=[0.004],
        since_ns=[1_767_182_400_000_000_000],
        to_ns=[1_769_860_800_000_000_000],
        points=[[0.0, 0.012, 0.034]],
    )

    sensor: list[str]
    parameter: list[str]
    change: list[float]
    """Relative to the oldest."""
    u: list[float]
    """Standard uncertainty of `change` (k = 1), the two calibrations taken as independent."""
    since_ns: list[int]
    to_ns: list[int]
    points: list[list[float]]
    """Changes at each calibration, oldest first."""
