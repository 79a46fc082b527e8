"""The library of scenarios in words: a table for the documentation, and one scenario for the terminal."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Final

from simulators.scenarios.expectations import Conclusion
from simulators.scenarios.scenario import Scenario, library, load_scenario, source_of
from simulators.scenarios.station_settings import StationSpec

MEANINGS: Final[dict[Conclusion, str]] = {
    "healthy": "calibrated, no drift alarm, and no correction taken back",
    "drift": "a drift alarm that names the parameter, in time, and none before the drift",
    "contradiction": "it is said that sensor and reference do not fit together, and no parameter is named",
    "process": "the sensor is not blamed",
    "reference": "it is said that something has changed, and the sensor is not blamed",
    "reference_lost": "it is said in time that the reference is away, and no drift",
    "cannot_tell": "no set and no alarm, and it is said why",
    "refused": "no set and no alarm",
    "any": "whatever",
}
"""What each conclusion means."""


def described(source: str | Path, scenario: Scenario) -> str:
    """Return a scenario's file, and what is expected of each of its sensors (of fleets, how often each)."""
    lines = [source_of(source).read_text(encoding="utf-8").rstrip(), ""]
    lines.append(f"# {len(scenario.stations)} sensors for {scenario.lasts_s:g} s of their time. Expected:")
    lines += [f"# {words}" for words in _expectations(scenario)]
    return "\n".join(lines)


def markdown() -> str:
    """Return the table of the library for docs/scenarios.md."""
    rows = ["| scenario | what it is | lasts | expected |", "|---|---|---|---|"]
    for name in library():
        scenario = load_scenario(name)
        expected = "; ".join(_expectations(scenario))
        rows.append(f"| `{name}` | {scenario.title} | {scenario.lasts_s:g} s | {expected} |")
    meanings = [f"| {name.replace('_', ' ')} | {words} |" for name, words in MEANINGS.items()]
    return "\n".join([*rows, "", "| conclusion | means |", "|---|---|", *meanings])


def expectation(station: StationSpec) -> str:
    """Return in words what a good system concludes of a sensor."""
    expect = station.expect
    words = expect.conclusion.replace("_", " ")
    if expect.conclusion == "drift":
        words += f" of {' or '.join(expect.parameters or sorted({law.parameter for law in station.drift}))}"
    return words + (f" within {expect.within_s:g} s" if expect.within_s else "")


def _expectations(scenario: Scenario) -> list[str]:
    counts = Counter(expectation(station) for station in scenario.stations)
    if len(scenario.stations) <= len(counts):
        return [
            f"{s.id}: {expectation(s)}" if len(scenario.stations) > 1 else expectation(s) for s in scenario.stations
        ]
    return [f"{count} x {words}" for words, count in counts.most_common()]
