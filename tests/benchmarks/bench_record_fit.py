"""The batch record fit: one pass, and a whole fit against a hand-made output-error fit with scipy, in one run."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from scipy.optimize import least_squares
from scipy.signal import cont2discrete, lfilter

from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.identification import AlignedRecord
from dyncal.identification.record_fit import InterSample, RecordSettings, fit_record
from dyncal.identification.record_fit.problem import RecordProblem
from dyncal.identification.record_fit.segments import take
from dyncal.identification.record_fit.track import Reading
from dyncal.models import model_of
from tests.evidence import Figure, table

_N = 6000
_CASES = {
    ModelKind.FIRST_ORDER: (np.array([1.0, 0.5]), 0.01, 0.95),
    ModelKind.SECOND_ORDER: (np.array([1.0, 0.3, 5.0]), 0.005, 0.8),
}


def sections() -> dict[str, list[Figure]]:
    """Measure, minima over repeats."""
    figures = []
    for kind, (theta, dt_s, pole) in _CASES.items():
        record = _record(kind, theta, dt_s, pole)
        problem = RecordProblem(
            model_of(kind), [Reading(segment, InterSample.LINEAR) for segment in take(record).segments], dt_s
        )
        begin = problem.begin(model_of(kind).to_internal(theta))
        assert begin is not None
        one_pass = _fastest(lambda p=problem, b=begin: p.evaluate(b), 20)  # type: ignore[misc]
        settings = RecordSettings(between=InterSample.LINEAR)
        known = _fastest(lambda r=record, k=kind, s=settings: fit_record(r, k, settings=s), 5)  # type: ignore[misc]
        whole = _fastest(lambda r=record, k=kind: fit_record(r, k), 5)  # type: ignore[misc]
        by_hand = _fastest(lambda r=record, t=theta, d=dt_s: _by_hand(r, t, d), 3)  # type: ignore[misc]
        figures += [
            Figure(f"{kind}: whole fit, course between samples chosen", 1e3 * whole, 0.0, 50.0, _N, unit="ms"),
            Figure(f"{kind}: whole fit, course between samples given", 1e3 * known, 0.0, np.inf, _N, unit="ms"),
            Figure(f"{kind}: a pass with all sensitivities", 1e9 * one_pass / _N, 0.0, np.inf, _N, unit="ns a sample"),
            Figure(
                f"{kind}: scipy least_squares from a near start over this",
                by_hand / known,
                0.0,
                np.inf,
                _N,
                unit="×",
                peer="scipy",
            ),
        ]
    return {"record fit, 6 000 samples, one core": figures}


def _record(kind: ModelKind, theta: FloatArray, dt_s: float, pole: float) -> AlignedRecord:
    rng = np.random.default_rng(1)
    x = lfilter([1.0], [1.0, -pole], rng.normal(size=_N + 500))[500:]
    t = np.arange(_N, dtype=np.int64) * round(dt_s * 1e9)
    z = model_of(kind).simulate(theta, t, x / x.std())
    return AlignedRecord(t, z + 0.03 * float(z.std()) * rng.normal(size=_N), x / x.std())


def _fastest(run: Callable[[], object], repeats: int) -> float:
    """Return the least processor time of a run [s]: the machine has other work."""
    run()
    times = []
    for _ in range(repeats):
        began = time.process_time()
        run()
        times.append(time.process_time() - began)
    return min(times)


def _by_hand(record: AlignedRecord, theta: FloatArray, dt_s: float) -> FloatArray:
    """Output error as one would write it in a notebook: lfilter, differences for derivatives, a start 20 % off."""

    def residuals(guess: FloatArray) -> FloatArray:
        gain, *rest = guess.tolist()
        if len(rest) == 1:
            a = [rest[0], 1.0]
        else:
            omega = 2 * np.pi * rest[1]
            a = [1 / omega**2, 2 * rest[0] / omega, 1.0]
        num, den, _ = cont2discrete(([gain], a), dt_s, method="foh")
        return np.asarray(record.indication - lfilter(np.ravel(num), den, record.reference))[500:]

    return np.asarray(least_squares(residuals, 1.2 * theta, x_scale=theta).x)


def main() -> None:
    """Print the tables."""
    for title, figures in sections().items():
        print("\n".join([f"## {title}", "", *table(figures), ""]))  # noqa: T201


if __name__ == "__main__":
    main()
