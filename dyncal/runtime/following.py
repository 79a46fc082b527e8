"""Blocks that are followed through all programs: one in some, by its number, so that all follow the same ones."""

from __future__ import annotations

from typing import Final

from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs
from dyncal.domain.traces import trace_of
from dyncal.runtime.logging import Logger
from dyncal.runtime.settings import TraceSettings
from dyncal.runtime.steps import Exporter, Step

SPOOLED: Final = "edge.spooled"
STORED: Final = "ingest.stored"
TAKEN: Final = "calibrate.taken"
_PARENTS: Final = {STORED: SPOOLED, TAKEN: SPOOLED}


class Follower:
    """Logs the steps of blocks that are followed, and exports them where that is wanted."""

    def __init__(self, settings: TraceSettings, log: Logger, exporter: Exporter | None = None) -> None:
        self._one_in, self._log, self._exporter = settings.one_in, log, exporter

    def follows(self, sequence: int) -> bool:
        """Tell whether the blocks of this number are followed."""
        return self._one_in > 0 and (sequence + 1) % self._one_in == 0

    def step(
        self,
        name: str,
        sensor: SensorId,
        sequence: int,
        first_ns: int,
        n: int,
        begun_ns: InstantNs,
        ended_ns: InstantNs,
    ) -> None:
        """Say what was done with a block of `n` samples, the first at `first_ns`."""
        trace = trace_of(sensor, first_ns)
        self._log.info(name, trace=trace, sensor=sensor, sequence=sequence, first_ns=first_ns, n=n)
        if self._exporter is not None:
            parent = _PARENTS.get(name, "")
            self._exporter.put(Step(name, trace, sensor, sequence, first_ns, n, begun_ns, ended_ns, parent))

    def close(self) -> None:
        """Export what waits."""
        if self._exporter is not None:
            self._exporter.close()


def follower(settings: TraceSettings, program: str, log: Logger) -> Follower:
    """Return what follows blocks, with the export that the settings ask for.

    Raises
    ------
    InvalidSetting
        If an export is asked for and the extra `otel` is not installed.
    """
    if settings.otlp is None:
        return Follower(settings, log)
    from dyncal.runtime.otlp import OtlpExporter  # noqa: PLC0415 - a tenth of a second, and not installed everywhere

    return Follower(settings, log, OtlpExporter(settings, program))
