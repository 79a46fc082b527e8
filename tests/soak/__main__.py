"""The whole system under its full load: ``python -m tests.soak [--minutes 10] [--sensors 200] [--rate-hz 1000]``.

Devices, broker, edge, ingest, calibration and API are processes of one machine; in full it runs for 8 h
(``--minutes 480``). Writes docs/evidence/soak.md; the status is 1 if a bar is missed.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from dyncal.contracts.topics import EdgeAddress
from dyncal.domain.sensors import EdgeId, SiteId
from simulators.trial.configuration import EDGE, SITE
from tests.evidence import Figure, table, write
from tests.soak.count import Counted, count, settled_s
from tests.soak.plant import Load, Plant, running
from tests.soak.probes import Probes
from tests.soak.watch import Watch, growth

PASSED_MS: Final = 10.0
APPLIED_S: Final = 1.0
GROWTH: Final = 1.05
SETTLE_S: Final = 120.0
WARM_UP: Final = 0.2  # of the time: first fits, first sets
_WATCHED: Final = 20
_LOOK_S: Final = 5.0
_INF: Final = math.inf


def main() -> int:
    """Run, print, write; 1 if a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--sensors", type=int, default=200)
    parser.add_argument("--rate-hz", type=int, default=1000)
    parser.add_argument("--per-message", type=int, default=200, help="samples in one message of a device")
    parser.add_argument("--kept-days", type=float, help="how long samples are kept, for long runs; all, if not said")
    parser.add_argument("--keep", type=Path, help="an empty directory to work in, which then stays, logs and all")
    parser.add_argument("--no-write", action="store_true", help="print only")
    options = parser.parse_args()
    load = Load(options.sensors, options.rate_hz, options.per_message)
    with _folder(options.keep) as folder:
        figures = soak(load, folder, options.minutes * 60, options.kept_days)
    title = f"{load.n_sensors} sensors at {load.rate_hz} Hz, {options.minutes:g} min"
    sys.stdout.write(f"{title}\n" + "\n".join(table(figures)) + "\n")
    if not options.no_write:
        write("soak", "What has been measured: the whole system for long", "python -m tests.soak", {title: figures})
    return 0 if all(figure.reached for figure in figures) else 1


def soak(load: Load, directory: Path, seconds: float, kept_days: float | None = None) -> list[Figure]:
    """Run the system for so long, and return what was seen."""
    watch = Watch()
    edge = EdgeAddress(SiteId(SITE), EdgeId(EDGE))
    with running(load, directory, kept_days) as plant:
        watched = [s.id for s in plant.declared.stations[:: max(load.n_sensors // _WATCHED, 1)]]
        with Probes(plant.broker.port, edge, watched) as probes:
            begun_s = time.monotonic()
            while (now_s := time.monotonic()) < begun_s + seconds:
                watch.look(plant.pids, now_s - begun_s)
                if dead := plant.dead():
                    raise AssertionError("ended by themselves: " + "; ".join(dead))
                time.sleep(_LOOK_S)
            late = [passed for at_s, passed in probes.passed_s if at_s > begun_s + WARM_UP * seconds]
        counted, settled, wrong = _harvest(plant, kept_days)
    sys.stderr.write("".join(f"{why}\n" for why in wrong))
    ended = Figure("programs that did not end as they should", float(len(wrong)), 0.0, 0.0, len(plant.programs))
    return [*_times(probes, late), *_counts(load, counted, settled, seconds), ended, *_resources(watch)]


def _harvest(plant: Plant, kept_days: float | None) -> tuple[Counted, float, list[str]]:
    stopped, started = plant.stop_devices(), plant.started
    assert started is not None
    dt_ns, t0_ns = plant.load.dt_ns, started.t0_ns
    ends = {name: t0_ns + (n - 1) * dt_ns for name, n in stopped.published.items() if n}
    settled = settled_s(plant.data_dir, ends, SETTLE_S)
    wrong = plant.stop_programs()
    newest = max(ends.values())
    # what is forgotten by the store's own rule is not missing
    since_ns = t0_ns if kept_days is None else max(t0_ns, newest - int(0.8 * kept_days * 86_400e9))
    return count(plant.data_dir, t0_ns, dt_ns, stopped.published, since_ns=since_ns), settled, wrong


def _times(probes: Probes, late_s: list[float]) -> list[Figure]:
    passed = 1e3 * np.array(late_s or [math.nan])
    applied = np.array(list(probes.applied_s.values()) or [math.nan])
    blocks, sets = len(late_s), len(probes.applied_s)
    what, ready = "device's message to the corrected block on the broker", "set published to applied"
    return [
        Figure(f"{what}, 50 %", float(np.quantile(passed, 0.5)), -_INF, _INF, blocks, unit="ms"),
        Figure(f"{what}, 99 %", float(np.quantile(passed, 0.99)), 0.0, PASSED_MS, blocks, unit="ms"),
        Figure(f"{what}, longest", float(np.max(passed)), -_INF, _INF, blocks, unit="ms"),
        Figure(
            "of these blocks, corrected, of all heard",
            probes.corrected / max(len(probes.passed_s), 1),
            -_INF,
            _INF,
            blocks,
            unit="%",
        ),
        Figure(f"{ready}, 99 %", float(np.quantile(applied, 0.99)), 0.0, APPLIED_S, sets, unit="s"),
        Figure("sets published and not applied within the run", float(probes.n_published - sets), -_INF, _INF, sets),
    ]


def _counts(load: Load, counted: Counted, settled: float, seconds: float) -> list[Figure]:
    n = counted.n_sent
    wanted = load.n_channels * load.rate_hz
    return [
        Figure("samples a second sent", n / seconds, 0.9 * wanted, _INF, n),
        Figure("samples missing in the store", float(counted.n_missing), 0.0, 0.0, n),
        Figure("samples that nobody sent", float(counted.n_foreign), 0.0, 0.0, n),
        Figure(
            "corrected, of the sensors' samples",
            counted.n_corrected / max(n * load.n_sensors / load.n_channels, 1),
            -_INF,
            _INF,
            n,
            unit="%",
        ),
        Figure("last sample sent to the last one stored", settled, -_INF, _INF, 1, unit="s"),
    ]


def _resources(watch: Watch) -> list[Figure]:
    figures = []
    for name, seen in watch.seen.items():
        looks = len(seen.memory)
        spent = (seen.cpu_s[-1] - seen.cpu_s[looks // 5]) / (watch.at_s[looks - 1] - watch.at_s[looks // 5])
        figures += [
            Figure(f"{name}: share of a core", spent, -_INF, _INF, looks, unit="%"),
            Figure(f"{name}: memory", seen.memory[-1] / 2**20, -_INF, _INF, looks, unit="MiB"),
            Figure(f"{name}: memory, last fifth over the middle one", growth(seen.memory), 0.0, GROWTH, looks),
            Figure(f"{name}: handles more at the end than in the middle", _more(seen.handles), -_INF, 2.0, looks),
        ]
    return figures


def _more(counts: list[int]) -> float:
    return float(counts[-1] - counts[len(counts) // 2])


@contextlib.contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix="dyncal-soak-") as folder:
        yield Path(folder)


if __name__ == "__main__":
    sys.exit(main())
