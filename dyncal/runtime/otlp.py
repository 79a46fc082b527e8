"""Spans to an OpenTelemetry collector, by OTLP over HTTP; imported only where the settings ask for it."""

from __future__ import annotations

from typing import Final

import dyncal
from dyncal.domain.errors import InvalidSetting
from dyncal.domain.traces import span_id
from dyncal.runtime.settings import TraceSettings
from dyncal.runtime.steps import Step

try:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
except ImportError as error:
    raise InvalidSetting("trace.otlp needs the extra 'otel': pip install 'dyncal[otel]'") from error

_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_TIMEOUT_S: Final = 2.0
_CLOSE_MS: Final = 1500


class OtlpExporter:
    """Puts steps into a bounded queue, which a thread of the SDK sends; what does not fit is dropped."""

    def __init__(self, settings: TraceSettings, program: str) -> None:
        exporter = OTLPSpanExporter(endpoint=settings.otlp, timeout=_TIMEOUT_S)
        self._sending = BatchSpanProcessor(exporter, schedule_delay_millis=settings.export_s * 1000)
        self._resource = Resource.create({"service.name": f"dyncal-{program}", "service.version": dyncal.__version__})

    def put(self, step: Step) -> None:
        """Take a step."""
        self._sending.on_end(
            ReadableSpan(
                step.name,
                _context(step.trace, step.name, remote=False),
                _context(step.trace, step.parent, remote=True) if step.parent else None,
                self._resource,
                {"dyncal.sensor": step.sensor, "dyncal.sequence": step.sequence, "dyncal.samples": step.n},
                kind=SpanKind.CONSUMER if step.parent else SpanKind.PRODUCER,
                start_time=step.begun_ns,
                end_time=max(step.begun_ns, step.ended_ns),
            )
        )

    def close(self) -> None:
        """Send what waits, for a second or so."""
        self._sending.force_flush(_CLOSE_MS)
        self._sending.shutdown()  # type: ignore[no-untyped-call]


def _context(trace: str, name: str, *, remote: bool) -> SpanContext:
    return SpanContext(int(trace, 16), int(span_id(trace, name), 16), remote, _SAMPLED)
