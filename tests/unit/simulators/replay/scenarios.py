"""A small plant: two thermocouples, of which one fouls, and a pressure line."""

from __future__ import annotations

from simulators.scenarios.scenario import Scenario

SMALL = {
    "name": "small",
    "seed": 7,
    "stations": [
        {
            "id": "T1",
            "unit": "Cel",
            "surface": "mqtt",
            "model": "first_order",
            "parameters": {"gain": 1.0, "tau_s": 0.5},
            "rate_hz": 20,
            "block": 4,
            "measurand": {"mean": 80.0, "rms": 5.0, "band_hz": 1.0, "lines": 32},
            "converter": {"noise": 0.02},
            "drift": [{"parameter": "tau_s", "from_s": 30, "to_s": 30, "factor": 1.6}],
            "reference": {"converter": {"noise": 0.08}, "transport": {"dropout": 0.01, "jitter_s": 0.02}},
            "pairing": {"u_reference": 0.05},
        },
        {
            "id": "P1",
            "unit": "kPa",
            "surface": "opcua",
            "model": "second_order",
            "parameters": {"gain": 1.0, "damping": 0.3, "f0_hz": 4.0},
            "rate_hz": 100,
            "block": 10,
            "measurand": {"mean": 250.0, "rms": 5.0, "band_hz": 3.5, "lines": 32},
            "converter": {"noise": 0.03},
            "reference": {"converter": {"noise": 0.1}},
            "pairing": {"u_reference": 0.05},
        },
    ],
}


def small() -> Scenario:
    return Scenario.model_validate(SMALL)
