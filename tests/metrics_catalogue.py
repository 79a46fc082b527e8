"""The metrics of all programs, made of their own registries: docs/metrics.md, written by

python -m tests.metrics_catalogue
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from dyncal.runtime.metrics import COMMON
from dyncal.runtime.pulse import LAG
from edge_agent import metrics as edge
from edge_agent.clock import metrics as clock
from services.api.metrics import ApiMetrics
from services.api.outlets.metrics import OutletMetrics
from services.calibrate.metrics import CalibrateMetrics
from services.ingest.metrics import IngestMetrics

FILE = Path(__file__).parents[1] / "docs" / "metrics.md"

HEAD = f"""# Metrics

What each program tells Prometheus, made of the programs' own registries by `python -m tests.metrics_catalogue`; a test
holds this page to them. `edge.metrics_port`, `ingest.metrics_port` and `calibrate.metrics_port` serve them at
`/metrics` on 127.0.0.1, or on the `metrics_host` beside; the API has `/metrics` at its own address, for keys that may
read. On the same ports of edge, ingest and calibrate are `/healthz` (200 while the event loop turns) and `/readyz`
(200 while the program can do its work, else 503, with the reasons as JSON), which the API has at its own address.

Names follow Prometheus: counters end in `_total`, units are base units in the name, a histogram `x` is `x_bucket`,
`x_sum` and `x_count`, a summary `x_sum` and `x_count`. A rate is `rate(x_total[1m])`; the mean time of a step
`rate(x_sum[5m]) / rate(x_count[5m])`.

**How many series there are is bounded**: values by sensor are told of the first {edge.MOST_SENSORS} sensors of an edge
by name, those of all others together under `sensor="{edge.OTHERS}"` (counters added up, lags the largest), and only by
the edge; `source` and `target` have as many values as the settings name; all other labels take values that are fixed in
the programs. Nothing that a message brings becomes a label.

A lag is a difference of two clocks, the edge's and that of the program: of two hosts it is as good as these agree.

Of `dyncal_calibrate_stage_seconds`, `stage` is `align` (sensor and reference brought onto one axis), `fit` (one step of
an estimator, or of many together), `design` (of a correction), `verify` (against data after the fit), `drift` (one
look), `cause` and `forecast`.
"""

STAGES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Every program", ("dyncal_build", "dyncal_ready", "dyncal_part", "dyncal_kernels", "dyncal_event_loop")),
    (
        "Edge: read",
        ("dyncal_edge_source", "dyncal_edge_quarantined", "dyncal_edge_samples_read", "dyncal_edge_samples_duplicate",
         "dyncal_edge_samples_late", "dyncal_edge_samples_refused", "dyncal_edge_gaps"),
    ),
    ("Edge: correct", ("dyncal_edge_samples", "dyncal_edge_handling", "dyncal_edge_blocks", "dyncal_edge_se")),
    ("Edge: clock", ("dyncal_edge_clock",)),
    ("Edge: spool", ("dyncal_edge_spool",)),
    (
        "Edge: publish",
        ("dyncal_edge_publish", "dyncal_edge_re", "dyncal_edge_backlog", "dyncal_edge_live", "dyncal_edge_in_flight"),
    ),
    ("Edge: what happened", ("dyncal_edge_notices",)),
    (
        "Ingest: take in",
        ("dyncal_ingest_messages", "dyncal_ingest_decode", "dyncal_ingest_quarantine", "dyncal_ingest_pending",
         "dyncal_ingest_full", "dyncal_ingest_broker"),
    ),
    (
        "Ingest: write",
        ("dyncal_ingest_rows", "dyncal_ingest_write", "dyncal_ingest_batch", "dyncal_ingest_store", "dyncal_ingest_lag",
         "dyncal_ingest_contested"),
    ),
    ("Ingest: ledger", ("dyncal_ingest_ledger", "dyncal_ingest_lost", "dyncal_ingest_announcements")),
    ("Ingest: retention", ("dyncal_ingest_retention",)),
    (
        "Calibrate: intake",
        ("dyncal_calibrate_deliveries", "dyncal_calibrate_waiting", "dyncal_calibrate_samples_passed_over",
         "dyncal_calibrate_lag", "dyncal_calibrate_batch", "dyncal_calibrate_pairings", "dyncal_calibrate_notes"),
    ),
    (
        "Calibrate: fit, judge, watch",
        ("dyncal_calibrate_stage", "dyncal_calibrate_conditions"),
    ),
    ("Calibrate: publish", ("dyncal_calibrate_sets", "dyncal_calibrate_unsent", "dyncal_calibrate_publish")),
    ("API: requests", ("dyncal_api_request",)),
    ("API: streams", ("dyncal_api_lag", "dyncal_api_stream", "dyncal_api_messages", "dyncal_api_rejected")),
    ("API: alarms and outlets", ("dyncal_api_alarm", "dyncal_outlet")),
    ("API: jobs", ("dyncal_api_job",)),
)  # fmt: skip

PROCESS = """## Process

Every program has besides what the system says of its process: `process_cpu_seconds_total`, `process_open_fds`,
`process_resident_memory_bytes`, `process_virtual_memory_bytes`, `process_max_fds`, `process_start_time_seconds`.
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """A metric as the catalogue has it."""

    name: str
    kind: str
    labels: tuple[str, ...]
    says: str


def entries() -> list[Entry]:
    """Return all metrics, each once, in the order of the registries."""
    families = [*COMMON, *edge.FAMILIES, *clock.FAMILIES]
    outlets = CollectorRegistry()
    OutletMetrics(outlets)
    registries = [metrics.registry for metrics in (IngestMetrics(), CalibrateMetrics(), ApiMetrics())]
    wrapped = [LAG, *(collector for registry in [*registries, outlets] for collector in registry._collector_to_names)]
    found = [Entry(_exposed(f.name, f.kind), f.kind, f.labels, f.says) for f in families]
    for each in wrapped:
        assert isinstance(each, MetricWrapperBase), each
        assert each._type is not None
        found.append(Entry(_exposed(each._name, each._type), each._type, tuple(each._labelnames), each._documentation))
    return found


def _exposed(name: str, kind: str) -> str:
    """Return the name under which Prometheus has a metric."""
    return f"{name}_total" if kind == "counter" else name


def page() -> str:
    """Return the whole page. Raises `AssertionError` where a metric belongs to no stage."""
    left = entries()
    parts = [HEAD]
    for title, prefixes in STAGES:
        mine = [entry for entry in left if entry.name.startswith(prefixes)]
        left = [entry for entry in left if entry not in mine]
        assert mine, f"no metric begins with one of {prefixes}"
        rows = [f"| `{e.name}` | {e.kind} | {', '.join(f'`{name}`' for name in e.labels)} | {e.says} |" for e in mine]
        parts.append("\n".join([f"## {title}", "", TABLE, *rows, ""]))
    assert not left, f"no stage has {[entry.name for entry in left]}"
    return "\n".join([*parts, PROCESS])


TABLE = "| name | type | labels | what it says |\n|---|---|---|---|"


if __name__ == "__main__":
    FILE.write_text(page(), encoding="utf-8")
