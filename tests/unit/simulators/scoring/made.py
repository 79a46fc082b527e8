"""Members made of numbers, for scores whose result is known."""

from __future__ import annotations

from typing import Any

import numpy as np

from dyncal.domain.samples import FloatArray
from simulators.datasets.store import MemberData
from simulators.datasets.trials import Trial

N = 400


def about(task: str, name: str = "made") -> dict[str, Any]:
    return {
        "name": name, "task": task, "model": "first_order", "title": "made", "between_samples": "continuous",
        "parameters": [{"name": "gain"}, {"name": "tau_s"}], "interval": {"value": 0.1}, "arl0": {"value": 100.0},
        "unit": {"ucum": "Cel"},
    }  # fmt: skip


def estimation(n_trials: int, name: str = "made") -> MemberData:
    t_ns = np.arange(N, dtype=np.int64) * 100_000_000
    truth = {"parameters": {"gain": 1.0, "tau_s": 2.0}, "bound": {"gain": 0.01, "tau_s": 0.1}}
    stated = {"u_reference_noise": 0.0}
    channels = {"indication": np.zeros(N), "reference": np.zeros(N)}
    return MemberData(
        about("identification", name), tuple(Trial(t_ns, channels, stated, truth) for _ in range(n_trials))
    )


def correction(error_raw: FloatArray) -> MemberData:
    t_ns = np.arange(N, dtype=np.int64) * 100_000_000
    x = np.sin(np.arange(N) / 20)
    stated = {
        "parameters": {"gain": 1.0, "tau_s": 2.0},
        "u": {"gain": 0.0, "tau_s": 0.0},
        "noise_std": 0.1,
        "band_hz": 1.0,
    }
    truth = {"parameters": {}, "optimum_rms": 0.05}
    trial = Trial(t_ns, {"indication": x + error_raw}, stated, truth, measurand=x)
    return MemberData(about("correction"), (trial,) * 3)


def drift(changes: list[int | None]) -> MemberData:
    """Records of 40 s; a change at so many seconds, or none."""
    trials = []
    for at in changes:
        t_ns = np.arange(N, dtype=np.int64) * 100_000_000
        truth = {"is_drift": at is not None, "from_ns": None if at is None else at * 10**9}
        channels = {"indication": np.zeros(N), "reference": np.zeros(N)}
        trials.append(Trial(t_ns, channels, {"u_reference_noise": 0.0}, truth))
    return MemberData(about("drift"), tuple(trials))
