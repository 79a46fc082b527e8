"""From settings to what the engine and the birth message say of the sensors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from dyncal.adapters.signing import trail_verifier
from dyncal.contracts.edges import PairingMessage, SensorMessage
from dyncal.correction.safety import SafetyLimits
from dyncal.domain.errors import InvalidData, InvalidSetting
from dyncal.domain.sensors import Pairing, Sensor, SensorId, edge_id, site_id
from dyncal.domain.time import DurationNs, duration
from dyncal.ports.signing import Verifier
from edge_agent.acceptance import Policy
from edge_agent.clock.watch import ClockRules
from edge_agent.events import AgentLimits, StreamConfig
from edge_agent.settings import EdgeSettings
from edge_agent.source_settings import SensorSettings
from edge_agent.spool import SpoolLimits

_GAP_INTERVALS: Final = 1.5
_GAP_INTERVALS_OF_ARRIVALS: Final = (
    2.5  # instants of arrival carry the network's jitter: one interval more or less is no hole
)
_SILENT_INTERVALS: Final = 20
_SILENT_S: Final = 5.0


def stream_configs(settings: EdgeSettings) -> list[StreamConfig]:
    """Return the sensors. Raises `InvalidSetting` if one contradicts itself."""
    try:
        arrivals = _stamped_at_arrival(settings)
        return [_config(sensor, settings, arrivals) for sensor in settings.edge.all_sensors()]
    except InvalidData as error:
        raise InvalidSetting(f"edge: {error}") from error


def _stamped_at_arrival(settings: EdgeSettings) -> set[str]:
    """Return the sensors that have no source time in at least one mapping."""
    names: set[str] = set()
    for mapping in settings.edge.mappings():
        if mapping.time_at is None or mapping.time_format == "arrival":
            names |= {mapping.sensor} if mapping.sensor is not None else {s.sensor for s in settings.edge.sensors}
    return names


def _config(sensor: SensorSettings, settings: EdgeSettings, arrivals: set[str]) -> StreamConfig:
    dt_ns = DurationNs(max(1, duration(sensor.dt_s)))
    silent_s = sensor.silent_after_s
    intervals = _GAP_INTERVALS_OF_ARRIVALS if sensor.sensor in arrivals else _GAP_INTERVALS
    return StreamConfig(
        sensor=Sensor(
            SensorId(sensor.sensor),
            site_id(settings.site),
            edge_id(settings.edge.name),
            sensor.unit,
            dt_ns,
            sensor.label,
        ),
        gap_after_ns=duration(sensor.longest_interval_s(intervals)),
        silent_after_ns=duration(silent_s if silent_s is not None else max(_SILENT_S, _SILENT_INTERVALS * sensor.dt_s)),
        u_t_ns=duration(sensor.u_t_s),
        pairing=_pairing(sensor),
        own_clock=sensor.sensor in arrivals,
    )


def _pairing(sensor: SensorSettings) -> Pairing | None:
    if sensor.reference is None or sensor.model is None:
        return None
    return Pairing(
        SensorId(sensor.sensor),
        SensorId(sensor.reference),
        sensor.model,
        u_reference=sensor.u_reference,
        u_reference_gain=sensor.u_reference_gain,
        u_clock_s=sensor.u_clock_s,
        band_hz=sensor.band_hz,
        max_latency_s=sensor.max_latency_s,
        tolerance=dict(sensor.tolerance),
        u_reference_noise=sensor.u_reference_noise,
        dead_time=sensor.dead_time,
        n_poles=sensor.n_poles,
        n_zeros=sensor.n_zeros,
    )


def sensor_messages(configs: Iterable[StreamConfig]) -> list[SensorMessage]:
    """Return the sensors as the birth message has them."""
    return [
        SensorMessage(
            config.sensor.id,
            config.sensor.unit,
            config.sensor.dt_ns,
            config.sensor.label,
            None if config.pairing is None else _pairing_message(config.pairing),
            config.own_clock,
        )
        for config in configs
    ]


def _pairing_message(pairing: Pairing) -> PairingMessage:
    return PairingMessage(
        pairing.reference,
        pairing.model.value,
        pairing.u_reference,
        pairing.u_reference_gain,
        pairing.u_clock_s,
        pairing.band_hz,
        pairing.max_latency_s,
        pairing.tolerance,
        pairing.u_reference_noise,
        pairing.dead_time,
        pairing.n_poles,
        pairing.n_zeros,
    )


def agent_limits(settings: EdgeSettings) -> AgentLimits:
    """Return the engine's limits."""
    edge = settings.edge
    return AgentLimits(
        flush_ns=duration(edge.flush_s),
        block_samples=edge.block_samples,
        max_skew_ns=duration(edge.max_skew_s),
        history_samples=edge.correction.history_samples,
    )


def spool_limits(settings: EdgeSettings) -> SpoolLimits:
    """Return the spool's limits."""
    spool = settings.edge.spool
    return SpoolLimits(spool.max_bytes, spool.segment_bytes, spool.policy)


def clock_rules(settings: EdgeSettings) -> ClockRules:
    """Return what this machine's clock is judged by."""
    edge = settings.edge
    declared = edge.u_clock_s
    return ClockRules(
        declared_ns=None if declared is None else duration(declared),
        unknown_ns=duration(edge.clock.u_unknown_s),
        limit_ns=duration(edge.clock.u_limit_s),
        holdover=edge.clock.holdover_ppm * 1e-6,
    )


def policy(settings: EdgeSettings, verifier: Verifier) -> Policy:
    """Return what is asked of coefficient sets."""
    correction = settings.edge.correction
    return Policy(
        verifier if correction.require_signature else None,
        SafetyLimits(max_pole_radius=correction.max_pole_radius, max_noise_gain=correction.max_noise_gain),
        duration(correction.max_latency_s),
        trail_verifier(settings.signing, settings.data_dir) if correction.require_signature else None,
    )
