"""The online estimators of many sensors: block-MAP in the innovations form (docs/metrology.md).

Samples gather until they say enough; the block is then fitted around what was known before (Levenberg-Marquardt on the
innovations), and its information is added. In symbols, for a block with innovations e(h), h = (η, κ)::

    minimise Σe²/σ² + (h - h̄)ᵀ L (h - h̄),   started from x̄ + s̄ᵀ(h - h̄);    L ← F(L) + ΣψψT/σ²

F forgets, direction by direction, no more than the block brings. A block without information moves nothing but the
state. A block that contradicts the past (D = bᵀ(A + APA)⁻¹b beyond its limit) makes the estimate begin anew with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.domain.time import Int64Array
from dyncal.identification import report
from dyncal.identification.interpolation import CONTEXT
from dyncal.identification.online import passes, start
from dyncal.identification.online.first_record import first_of_newest
from dyncal.identification.online.fleet.adoption import adopt
from dyncal.identification.online.fleet.buffers import Buffers
from dyncal.identification.online.fleet.chunks import check, holes, lengths
from dyncal.identification.online.fleet.faults import Faults
from dyncal.identification.online.fleet.followers import Followers
from dyncal.identification.online.fleet.founding import founded
from dyncal.identification.online.fleet.full_likelihood import Samples
from dyncal.identification.online.fleet.outcomes import Outcomes
from dyncal.identification.online.fleet.state import FleetState
from dyncal.identification.online.fleet.step import Rules, Step, look_at
from dyncal.identification.online.posterior import limits
from dyncal.identification.online.snapshot import LATER, Array, FleetSnapshot, decode
from dyncal.identification.records import Estimate
from dyncal.identification.settings import OnlineSettings
from dyncal.models import model_of

_GROWTH: Final = 1.3
_PATIENCE: Final = 4
_LONGER: Final = 12  # shortest blocks that a new start takes after a pair has proved inconsistent

_MARKS: Final = ("last_ns", "broken", "dark", "lost", "left_out", "dropped_to")

Flags = npt.NDArray[np.bool_]


class EstimatorFleet:
    """Follow the parameters of many sensors of one kind, each against its reference.

    Parameters
    ----------
    model : ModelKind
    dt_ns : sequence of int
        Nominal sampling interval of each sensor [ns]; the instants of the samples are what counts.
    settings : OnlineSettings or a sequence of them, optional
        Of all sensors, or of each.

    Attributes
    ----------
    faults : Faults
        What went wrong with single sensors when chunks were taken in last.

    Raises
    ------
    InvalidData
        If there is no online estimator for that kind, an interval is not positive, or the numbers do not agree.
    """

    def __init__(
        self,
        model: ModelKind,
        dt_ns: Sequence[int] | Int64Array,
        settings: OnlineSettings | Sequence[OnlineSettings] | None = None,
    ) -> None:
        self.model = model
        self._model = model_of(model)
        if model not in passes.CODES:
            raise InvalidData(f"there is no online estimator for a {model} sensor")
        self.dt_ns = np.array(dt_ns, dtype=np.int64)
        if self.dt_ns.ndim != 1 or bool(np.any(self.dt_ns <= 0)):
            raise InvalidData(f"dt_ns must be positive, not {self.dt_ns.min(initial=0)}")
        n = self.dt_ns.size
        if settings is None or isinstance(settings, OnlineSettings):
            settings = (settings or OnlineSettings(),) * n
        if len(settings) != n:
            raise InvalidData(f"{len(settings)} settings for {n} sensors")
        self._configure(tuple(settings))
        self._buffers = Buffers(n, self.dt_ns)
        self._state = FleetState.empty(n, self._model.n_parameters)
        self._behind, self._close_at = np.full(n, CONTEXT, dtype=np.int64), self._shortest.copy()
        self._refused: dict[int, start.Refused] = {}
        self._trouble: dict[int, str] = {}
        self._doubtful = np.zeros(n, dtype=np.bool_)
        self._short = np.zeros(n, dtype=np.int64)
        self.faults = Faults(kept=False)
        self._followers = Followers(self._model, self.settings, self.dt_ns, self._rules.limits, self._state)

    def _configure(self, settings: tuple[OnlineSettings, ...]) -> None:
        self.settings = settings
        self._longest, self._longest_ns, self._fewest, self._shortest = lengths(settings, self.dt_ns)
        p = self._model.n_parameters
        self._rules = Rules(
            self._model, passes.CODES[self.model], p, self._model.n_states, np.array(limits(p)),
            np.array([s.target_u for s in settings]), np.array([1 / s.memory_blocks for s in settings]),
            self._longest, self._longest_ns,
        )  # fmt: skip

    def __len__(self) -> int:
        return int(self.dt_ns.size)

    def estimate(self, i: int) -> Estimate | None:
        """Return what is known of a sensor now; None before there was enough data to say anything.

        After a run of blocks that no parameters explain, the last good parameters with the verdict that says so.
        """
        refused = self._refused.get(i)
        if not self._state.known[i]:
            refused = refused or holes(self._buffers.lost[i], self._short[i], self._fewest[i], self._shortest[i])
            return (
                None
                if refused is None
                else report.refusal(refused.verdict, refused.detail, max(int(self._buffers.last_ns[i]), 0))
            )
        found = report.without(self._followers.estimate(i, self._trouble.get(i, "")), int(self._buffers.left_out[i]))
        return found if refused is None else report.outdated(found, refused.verdict, refused.detail)

    def ingest(
        self,
        sensors: Int64Array,
        offsets: Int64Array,
        t_ns: Int64Array,
        indication: FloatArray,
        reference: FloatArray,
        new_segment: Flags | None = None,
        *,
        contained: bool = False,
    ) -> list[Outcomes]:
        """Take in a chunk of each of k sensors; return the blocks that they closed, in the order of closing.

        Parameters
        ----------
        sensors : int64, shape (k,)
            Numbers of sensors, none twice.
        offsets : int64, shape (k + 1,)
            Chunk j is samples offsets[j] to offsets[j + 1].
        t_ns : int64, shape (n,); indication, reference : float64, shape (n,)
            Samples of all chunks.
        new_segment : bool, shape (k,), optional
            Which chunks do not continue what came before.
        contained : bool
            What goes wrong with the numbers of single sensors (`Faults`) is not raised but kept in `faults`, and the
            rest of their chunks left out; their blocks say nothing.

        Indications that are not finite are left out, and so are references, a few in a row: time passes, nothing is
        measured. More of them without a reference end the segment; samples not newer than the newest known are left
        out. The results do not depend on how streams are cut into chunks, nor on which sensors come together.

        Raises
        ------
        InvalidData
            If shapes, types or numbers of sensors do not go together.
        """
        check(len(self), sensors, offsets, t_ns, indication, reference)
        outcomes: list[Outcomes] = []
        self.faults = Faults(kept=contained)
        if new_segment is not None:
            self._buffers.broken[sensors[new_segment]] = True
        at, end, who = offsets[:-1].copy(), offsets[1:].copy(), sensors.copy()
        while who.size:
            self._buffers.take_in(who, at, end, t_ns, indication, reference, self._wanted)
            due = self._buffers.count[who] >= self._wanted[who]
            cut = ~due & (at < end)
            if due.any():
                self._consider(who[due], self._close_at[who[due]], outcomes, final=False)
            if cut.any():
                self._cut(who[cut], outcomes)
            again = due | (at < end)
            again &= self.faults.none(who)
            who, at, end = who[again], at[again], end[again]
        return outcomes

    @property
    def _wanted(self) -> Int64Array:
        """Samples at which a sensor is due: a block, those used already, those that interpolation looks ahead at."""
        return self._behind + self._close_at + CONTEXT

    def _cut(self, who: Int64Array, outcomes: list[Outcomes]) -> None:
        """End segments: what waits becomes a block if it says enough, and the next one finds its state anew."""
        waiting = self._buffers.count[who] - self._behind[who] - CONTEXT
        last = self._state.tracked[who] & (waiting >= self._fewest[who])
        if last.any():
            self._consider(who[last], waiting[last], outcomes, final=True)
        self._short[who[~self._state.tracked[who]]] += 1
        self._buffers.drop(who, self._buffers.count[who])
        self._close_at[who], self._behind[who] = self._shortest[who], CONTEXT
        self._state.under_way[who] = False
        for i in who.tolist():
            self._followers.cut(i)

    def _consider(self, who: Int64Array, n: Int64Array, outcomes: list[Outcomes], *, final: bool) -> None:
        """Close blocks of the first n samples that wait, or let them grow."""
        tracked = self._state.tracked[who]
        full = np.array([bool(self._followers) and i in self._followers for i in who.tolist()], dtype=np.bool_)
        full &= tracked
        apart = full | ~tracked
        if apart.any():
            self._buffers.leave_out(who[apart], self._behind[who[apart]], n[apart])
        for i, several in zip(who[~tracked].tolist(), n[~tracked].tolist(), strict=True):
            with self.faults.contained(i):
                self._begin(i, several, outcomes)
        for i, several in zip(who[full].tolist(), n[full].tolist(), strict=True):
            with self.faults.contained(i):
                self._consider_full(i, several, outcomes, final=final)
        who, n = who[~apart], n[~apart]
        if not who.size:
            return
        closed, n, step = look_at(self._state, self._buffers, self._behind, self._rules, who, n, final=final)
        self._close_at[who[~closed]] = n[~closed]
        who, n = who[closed], n[closed]
        if step is None:
            return
        done = step.conclude()
        self._note(step)

        def newest(k: int, ahead: int = 0) -> Samples:
            return self._waiting(int(who[k]), int(n[k]) + ahead)

        outcomes += self._followers.take_over(step, done, newest, self.faults)
        self._used(who, n)

    def _used(self, who: Int64Array, n: Int64Array) -> None:
        """Leave the next n samples behind, but for those that the next block's interpolation looks back at."""
        drop = np.maximum(self._behind[who] + n - CONTEXT - 1, 0)
        self._buffers.drop(who, drop)
        self._behind[who] += n - drop
        self._close_at[who] = self._shortest[who]

    def _note(self, step: Step) -> None:
        """Note of blocks that no parameters explain why."""
        for k in np.flatnonzero(step.rejected).tolist():
            self._reject(int(step.blocks.who[k]), step.trouble(k))
        for i in step.blocks.who[step.taken].tolist() if self._trouble else ():
            self._trouble.pop(i, None)

    def _reject(self, i: int, trouble: str) -> None:
        """Note why a sensor's block was rejected; after a few of them, begin from nothing."""
        self._trouble[i] = trouble
        self._state.n_rejected[i] += 1
        if self._state.n_rejected[i] >= _PATIENCE:
            self._state.tracked[i], self._doubtful[i] = False, True
            verdict = report.verdict_of(trouble)
            self._refused[i] = start.Refused(verdict, f"{trouble}, and so did those before it", final=False)
            self._followers.drop(i, known=True)

    def _waiting(self, i: int, n: int, before: int = 0) -> Samples:
        """Return copies of the first n samples that wait, and of some used before them."""
        behind = int(self._behind[i])
        return self._buffers.part(i, behind - before, behind + n)

    def _consider_full(self, i: int, n: int, outcomes: list[Outcomes], *, final: bool) -> None:
        """Do as `_consider` for one sensor that is followed by the full likelihood."""
        samples = self._waiting(i, n, before=0 if self._followers.fresh(i) else 1)
        long = samples[0][-1] - samples[0][0] >= self._longest_ns[i]
        done = self._followers.consider(i, samples, full=bool(final or n >= self._longest[i] or long))
        if done.outcome is None:
            self._close_at[i] = min(int(n * done.grow) + 1, int(self._longest[i]))
            return
        outcomes.append(self._followers.silenced(Outcomes.one(i, done.outcome)))
        if done.trouble:
            self._reject(i, done.trouble)
        elif done.outcome.excited:
            self._trouble.pop(i, None)
            self._state.n_rejected[i] = 0
        self._used(np.array([i]), np.array([n]))

    def _begin(self, i: int, n: int, outcomes: list[Outcomes]) -> None:
        """Find a first estimate from the first n samples that wait, or wait for more."""
        longer = min(_LONGER * int(self._shortest[i]), int(self._longest[i]))
        if self._doubtful[i] and n < longer:
            self._close_at[i] = longer
            return
        waiting, older = self._waiting(i, n + CONTEXT, before=CONTEXT), (n - longer) * int(self._doubtful[i])
        found, older = first_of_newest(self._model, waiting, self.settings[i], older)
        if isinstance(found, start.Refused):
            self._refused[i] = found
            if n >= self._longest[i]:
                self._buffers.drop(np.array([i]), np.array([n // 2]))
                n -= n // 2
            self._close_at[i] = min(int(n * _GROWTH) + 1, int(self._longest[i]))
            return
        self._used(np.array([i]), np.array([older]))
        n -= older
        block = founded(self._state, i, self._model, found)
        outcomes.append(self._followers.found(i, found, block, self._waiting(i, n)))
        self._refused.pop(i, None)
        self._trouble.pop(i, None)
        self._doubtful[i] = False
        self._used(np.array([i]), np.array([n]))

    @classmethod
    def joined(cls, parts: Sequence[tuple[EstimatorFleet, int]]) -> EstimatorFleet:
        """Return a fleet of some sensors of other fleets, of one kind all: each goes on in it to the last bit."""
        dt_ns, settings = zip(*((int(fleet.dt_ns[i]), fleet.settings[i]) for fleet, i in parts), strict=True)
        made = cls(parts[0][0].model, dt_ns, settings)
        for k, (fleet, i) in enumerate(parts):
            made._adopt(k, fleet, i)
        return made

    def _adopt(self, k: int, other: EstimatorFleet, i: int) -> None:
        """Let sensor k be what sensor i of another fleet is."""
        there = other._state.arrays() | other._own()
        for name, array in (self._state.arrays() | self._own()).items():
            array[k] = there[name][i]
        for name in _MARKS:
            getattr(self._buffers, name)[k] = getattr(other._buffers, name)[i]
        self._buffers.put(k, *other._buffers.part(i, 0, int(other._buffers.count[i])))
        adopt(self._refused, k, other._refused, i)
        adopt(self._trouble, k, other._trouble, i)
        self._followers.adopt(k, other._followers, i)

    def snapshot(self) -> bytes:
        """Return the whole state: `restore` then `ingest` gives the same to the last bit."""
        buffers = self._buffers
        parts = [buffers.part(i, 0, int(n)) for i, n in enumerate(buffers.count)]
        pending = [Array.of(np.concatenate(column)) for column in zip(*parts, strict=True)]
        own = {name: Array.of(array) for name, array in self._own().items()}
        own |= {name: Array.of(getattr(buffers, name)) for name in ("count", *_MARKS)}
        return msgspec.msgpack.encode(
            FleetSnapshot(
                model=self.model,
                settings=FleetSnapshot.packed(self.settings),
                arrays=own | {"dt_ns": Array.of(self.dt_ns)},
                state={name: Array.of(array) for name, array in self._state.arrays().items()},
                pending=(pending[0], pending[1], pending[2]),
                refused=dict(sorted(self._refused.items())),
                trouble=dict(sorted(self._trouble.items())),
                **self._followers.pack(),
            )
        )

    @classmethod
    def restore(cls, data: bytes, settings: OnlineSettings | Sequence[OnlineSettings] | None = None) -> EstimatorFleet:
        """Return the fleet that `snapshot` wrote; raise `InvalidData` if it cannot be read.

        With `settings`, these instead of its own hold from now on: what a certificate says may have changed since.
        """
        found = decode(data)
        try:
            dt_ns = found.arrays["dt_ns"].array()
            fleet = cls(found.model, dt_ns, settings or found.unpacked(dt_ns.size))
            fleet._resume(found)
        except (KeyError, ValueError, TypeError) as error:
            raise InvalidData(f"this is no snapshot of an online estimator: {error}") from error
        return fleet

    def _resume(self, found: FleetSnapshot) -> None:
        own = {name: packed.array() for name, packed in found.arrays.items()}
        for name, array in self._state.arrays().items():
            if name in found.state or name not in LATER:
                array[...] = found.state[name].array()
        for name, array in self._own().items():
            array[:] = own[name]
        for name in _MARKS:
            if name in own or name not in LATER:
                getattr(self._buffers, name)[...] = own[name]
        t_ns, y, r = (packed.array() for packed in found.pending)
        edges = np.concatenate([[0], np.cumsum(own["count"])])
        if edges[-1] != t_ns.size or not t_ns.size == y.size == r.size:
            raise ValueError("the samples that wait do not agree in number")
        for i, (begin, end) in enumerate(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)):
            self._buffers.put(i, t_ns[begin:end], y[begin:end], r[begin:end])
        self._refused, self._trouble = dict(found.refused), dict(found.trouble)
        self._followers.resume(found)

    def _own(self) -> dict[str, npt.NDArray[np.generic]]:
        """Return by name the arrays that neither the state nor the buffers hold."""
        return {
            "behind": self._behind,
            "close_at": self._close_at,
            "doubtful": self._doubtful,
            "tried": self._followers.tried,
            "short": self._short,
        }
