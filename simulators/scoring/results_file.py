"""Results that a third party has made by itself, read from a file: JSON for all tasks, CSV with one number a line.

JSON: ``{"format": "dyncal-results/1", "method": "name", "results": [{"member": ..., "trial": 0, ...}, ...]}``, each
result with ``values`` and ``u``, with ``value`` and ``u``, with ``alarms_t_ns``, or with ``refused``, as
`simulators.scoring.records` has it; ``seconds`` if it was measured.

CSV, with a header that says of what: ``member,trial,parameter,value,u``, ``member,trial,t_ns,value,u`` or
``member,trial,alarm_t_ns``; ``u`` may be left out or empty. A trial without alarms has one line with an empty one.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from pydantic import Field, ValidationError

from dyncal.domain.errors import InvalidData
from dyncal.runtime.faults import describe
from dyncal.runtime.settings import Section
from simulators.datasets.store import MemberData
from simulators.scoring.records import Answer, answer_of, failed

_HEADERS: Final = {
    ("member", "trial", "parameter", "value"): "estimates",
    ("member", "trial", "t_ns", "value"): "series",
    ("member", "trial", "alarm_t_ns"): "alarms",
}


class Result(Section):
    """One trial's result."""

    member: str
    trial: int = Field(ge=0)
    values: dict[str, float] | None = None
    value: list[float | None] | None = None
    u: dict[str, float] | list[float | None] | None = None
    alarms_t_ns: list[int] | None = None
    refused: str | None = None
    seconds: float | None = Field(None, ge=0)


class Results(Section):
    """A results file."""

    format: Literal["dyncal-results/1"]
    method: str = Field(min_length=1)
    results: list[Result]


@dataclass(frozen=True, slots=True)
class ResultsFile:
    """Results that were read: what is given of each member and trial, as a method would answer.

    A series in CSV is an array of rows (t_ns, value, u) until the member's instants are known.
    """

    file: Path
    method: str
    given: dict[tuple[str, int], dict[str, Any]]

    def answers(self, member: MemberData, most: int | None = None) -> Iterator[Answer]:
        """Yield the answer to each trial of a member, in order; a trial that is not there has failed."""
        for index, trial in enumerate(member.trials[:most]):
            given = self.given.get((member.name, index))
            if given is None:
                yield failed("not in the results file")
                continue
            laid = dict(given)
            if "rows" in laid:
                rows = laid.pop("rows")
                value, u = np.full(trial.t_ns.size, np.nan), np.full(trial.t_ns.size, np.nan)
                where = np.searchsorted(trial.t_ns, [row[0] for row in rows])
                where = np.minimum(where, trial.t_ns.size - 1)
                same = trial.t_ns[where] == np.array([row[0] for row in rows], np.int64)
                if not bool(np.all(same)):
                    yield failed(f"the record has no sample at t_ns {rows[int(np.argmin(same))][0]}")
                    continue
                value[where], u[where] = [row[1] for row in rows], [row[2] for row in rows]
                laid |= {"value": value, "u": u if bool(np.any(np.isfinite(u))) else None}
            yield answer_of(laid, member, trial)

    def members(self) -> set[str]:
        """Return the names of the members that it has results of."""
        return {member for member, _ in self.given}


def read_results(file: Path) -> ResultsFile:
    """Return what a results file holds.

    Raises
    ------
    InvalidData
        With file, key or line, what is wrong, and what is expected.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InvalidData(f"{file}: cannot read it: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidData(f"{file}: not UTF-8 at byte {error.start}; save it as UTF-8") from error
    if file.suffix.lower() == ".csv":
        return ResultsFile(file, file.stem, _from_csv(file, text.splitlines()))
    if file.suffix.lower() != ".json":
        raise InvalidData(f"{file}: results end in .json or .csv, not in {file.suffix!r}")
    try:
        content = Results.model_validate(json.loads(text))
    except ValidationError as error:
        raise InvalidData(describe(error, file, Results)) from error
    except ValueError as error:
        raise InvalidData(f"{file}: not JSON: {error}") from error
    given: dict[tuple[str, int], dict[str, Any]] = {}
    for result in content.results:
        key = result.member, result.trial
        if key in given:
            raise InvalidData(f"{file}: trial {result.trial} of {result.member} is there twice")
        given[key] = {
            k: _array(v) for k, v in result.model_dump(exclude={"member", "trial"}, exclude_none=True).items()
        }
    return ResultsFile(file, content.method, given)


def _array(value: Any) -> Any:
    if isinstance(value, list):
        if all(isinstance(number, int) for number in value):
            return np.array(value, np.int64)
        return np.array([np.nan if number is None else number for number in value], np.float64)
    return value


def _from_csv(file: Path, lines: Iterable[str]) -> dict[tuple[str, int], dict[str, Any]]:
    rows = csv.reader(lines)
    header = tuple(name.strip() for name in next(rows, []))
    kind = _HEADERS.get(header[:-1] if header[-1:] == ("u",) else header)
    if kind is None:
        known = "; ".join(",".join(names) for names in _HEADERS)
        raise InvalidData(f"{file}: line 1: the header is {','.join(header)!r}; expected is one of: {known} (and u)")
    given: dict[tuple[str, int], dict[str, Any]] = {}
    for number, row in enumerate(rows, start=2):
        if not row:
            continue
        try:
            member, trial, *rest = _fields(row, len(header))
            _enter(given.setdefault((member, int(trial)), {}), kind, rest)
        except ValueError as error:
            raise InvalidData(f"{file}: line {number}: {error}") from error
    return given


def _fields(row: list[str], n: int) -> list[str]:
    if len(row) != n:
        raise ValueError(f"{len(row)} fields, where the header has {n}")
    return [text.strip() for text in row]


def _enter(entry: dict[str, Any], kind: str, row: list[str]) -> None:
    """Take a line in. Raises `ValueError` for what is no number, and for what is there twice."""
    u = float(row[2]) if len(row) > 2 and row[2].strip() else None
    if kind == "alarms":
        alarms = entry.setdefault("alarms_t_ns", [])
        if row[0].strip():
            alarms.append(int(row[0]))
    elif kind == "series":
        entry.setdefault("rows", []).append((int(row[0]), float(row[1]), np.nan if u is None else u))
    else:
        name, values = row[0].strip(), entry.setdefault("values", {})
        if name in values:
            raise ValueError(f"{name} is there twice")
        values[name] = float(row[1])
        if u is not None:
            entry.setdefault("u", {})[name] = u
