"""The methods that come with dyncal by task, and a run of methods over members."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from dyncal.domain.errors import InvalidData
from simulators.datasets.making import MANIFEST
from simulators.datasets.store import MemberData, read_json, read_member
from simulators.scoring.figures import MemberScore, score
from simulators.scoring.records import TASKS, Answer
from simulators.scoring.results_file import ResultsFile
from simulators.scoring.running import Method, Runner

_OURS: Final = "simulators.scoring.methods.ours"
_BASELINES: Final = "simulators.scoring.methods.baselines"
_PYDYNAMIC: Final = Path(__file__).parent / "methods" / "pydynamic.py"


@dataclass(frozen=True, slots=True)
class Contestant:
    """A method, or results that were read, and the tasks that it takes part in.

    `most` is how many trials of a member it is given at most: of one that takes very long.
    """

    name: str
    tasks: tuple[str, ...]
    source: Method | ResultsFile
    most: int | None = None


class Answering(Protocol):
    """What gives answers to the trials of a member."""

    def answers(self, member: MemberData, most: int | None = None) -> Iterator[Answer]:
        """Yield the answer to each of the first `most` trials."""
        ...


def standard(foreign_python: str | None = None, limit_s: float = 60.0) -> list[Contestant]:
    """Return the methods that come with dyncal; PyDynamic's if there is the interpreter of an environment with it."""
    own = (
        ("dyncal record fit", ("identification",), f"{_OURS}:record_fit"),
        ("dyncal online", ("identification",), f"{_OURS}:online"),
        ("scipy curve_fit", ("identification",), f"{_BASELINES}:curve_fit"),
        ("RLS (ARX)", ("identification",), f"{_BASELINES}:rls_arx"),
        ("dyncal points fit", ("frequency_response",), f"{_OURS}:frequency_response"),
        ("scipy curve_fit, points", ("frequency_response",), f"{_BASELINES}:curve_fit_points"),
        ("dyncal Wiener", ("correction",), f"{_OURS}:wiener"),
        ("inverse and low-pass (FFT)", ("correction",), f"{_BASELINES}:inverse_filter"),
        ("dyncal drift monitor", ("drift",), f"{_OURS}:drift_monitor"),
        ("CUSUM on estimates", ("drift",), f"{_BASELINES}:cusum_on_estimates"),
    )
    made = [Contestant(name, tasks, Method(name, entry, sys.executable, (), limit_s)) for name, tasks, entry in own]
    if foreign_python is not None:
        theirs = (
            ("PyDynamic fit_som", "frequency_response", "points"),
            ("PyDynamic LSFIR", "correction", "deconvolution"),
        )
        for name, task, function in theirs:
            method = Method(name, f"{_PYDYNAMIC}:{function}", foreign_python, (), limit_s)
            made.append(Contestant(name, (task,), method))
    return made


def third_party(method: Method, tasks: Iterable[str]) -> Contestant:
    """Return somebody's entry point as a contestant in these tasks."""
    return Contestant(method.name, tuple(tasks), method)


def from_file(results: ResultsFile) -> Contestant:
    """Return results that were read as a contestant in what they are about."""
    return Contestant(results.method, TASKS, results)


def members_of(folder: Path, truth: Path | None, names: Sequence[str], tasks: Sequence[str]) -> Iterator[MemberData]:
    """Yield the members in a folder whose truth is there, of these names and tasks (empty: all).

    Raises
    ------
    InvalidData
        If the folder holds no data sets, a name is not there, or a truth is not.
    """
    known = read_json(folder / MANIFEST)["members"]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InvalidData(f"{folder}: there is no {', '.join(unknown)}; it has {', '.join(known)}")
    for name in names or known:
        member = read_member(folder / name, None if truth is None else truth / name)
        if tasks and member.about["task"] not in tasks:
            continue
        if not member.has_truth:
            raise InvalidData(f"{folder / name}: its truth is not there; give --truth DIR")
        yield member


def run(
    contestants: Sequence[Contestant],
    members: Iterable[MemberData],
    trials: int | None = None,
    said: Callable[[MemberScore, Sequence[Answer], MemberData], None] = lambda *_: None,
) -> list[MemberScore]:
    """Let all contestants answer all members of their tasks; `said` hears of each that is done.

    A results file without a word of a member takes no part in it.
    """
    found = []
    with ExitStack() as stack:
        runners: dict[str, Answering] = {
            c.name: c.source if isinstance(c.source, ResultsFile) else stack.enter_context(Runner(c.source))
            for c in contestants
        }
        for member in members:
            for contestant in contestants:
                if not _takes_part(contestant, member):
                    continue
                most = min((n for n in (trials, contestant.most) if n is not None), default=None)
                answers = list(runners[contestant.name].answers(member, most))
                made = score(contestant.name, member, answers)
                said(made, answers, member)
                found.append(made)
    return found


def _takes_part(contestant: Contestant, member: MemberData) -> bool:
    if isinstance(contestant.source, ResultsFile) and member.name not in contestant.source.members():
        return False
    return member.about["task"] in contestant.tasks
