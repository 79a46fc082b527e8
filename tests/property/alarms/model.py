"""The life cycle of alarms once more, as plainly as can be: written from docs/alarms.md, not from the engine.

No heap, no index, no bounded memory: what is due is looked for among all alarms, and floods are counted over all
annunciations that ever were. Times are whole numbers of any unit.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Def:
    """What the model needs of a definition."""

    rank: int
    on: int = 0
    off: int = 0
    dead_band: float = 0.0
    latching: bool = False
    re_alarm: int = 0
    longest: int = 100
    by: tuple[str, ...] = ()


@dataclass
class Case:
    """One alarm."""

    kind: str
    edge: str
    holds: bool = False
    since: int = 0
    limit: float | None = None
    active: bool = False
    open: bool = False
    told: bool = False
    held: bool = False
    latch: bool = False
    shelf: int | None = None
    rules: set[str] = field(default_factory=set)
    out: bool = False
    again: int | None = None
    due: int | None = None

    @property
    def aside(self) -> bool:
        return self.out or bool(self.rules) or self.shelf is not None

    @property
    def shown(self) -> str:
        if self.out:
            return "out_of_service"
        if self.rules:
            return "suppressed"
        if self.shelf is not None:
            return "shelved"
        name = "unacknowledged" if self.open else "acknowledged"
        if self.active:
            return name
        if self.latch:
            return f"latched_{name}"
        return "returned_unacknowledged" if self.open else "normal"


class Model:
    """`log` is all that was annunciated: instant, id, whether it was held back."""

    def __init__(self, defs: dict[str, Def], begin: int, end: int, window: int, keeps: int) -> None:
        self.defs, self.begin, self.end, self.window, self.keeps = defs, begin, end, window, keeps
        self.cases: dict[str, Case] = {}
        self.log: list[tuple[int, str, bool]] = []
        self.log_at: list[int] = []
        self.floods: list[dict[str, Any]] = []
        self.now = 0

    # Time

    def go(self, to: int) -> None:
        to = max(to, self.now)
        while True:
            waiting: list[tuple[int, str, str]] = []
            if self.flood is not None:
                waiting.append((self._flood_ends(), "", ""))
            for name, c in self.cases.items():
                waiting += [
                    (at, name, what)
                    for what, at in (("due", c.due), ("re", c.again), ("shelf", c.shelf))
                    if at is not None
                ]
            first = min(waiting, default=(to + 1, "", ""))
            if first[0] > to:
                break
            self.now = max(self.now, first[0])
            self._happen(first[1], first[2])
        self.now = to

    def _happen(self, name: str, what: str) -> None:
        if name == "":
            self.floods[-1]["to"] = self.now
            return
        c = self.cases[name]
        if what == "due":
            c.due = None
            if c.holds:
                self._raise(name, c)
            else:
                c.active, c.again = False, None
                if not c.told and not c.latch:
                    c.open = False
            self._by_design()
        elif what == "re":
            c.open, c.again = True, None
            self._tell(name, c)
        else:
            c.shelf = None
            self._back(name, c)

    def _raise(self, name: str, c: Case) -> None:
        c.active = True
        if not c.open:
            c.told = c.held = False
        c.open = True
        c.latch = c.latch or self.defs[c.kind].latching
        if not c.aside:
            self._tell(name, c)

    # Being told

    @property
    def flood(self) -> dict[str, Any] | None:
        return self.floods[-1] if self.floods and self.floods[-1]["to"] is None else None

    def _in_window(self, at: int) -> int:
        return sum(1 for t in self.log_at[bisect.bisect_right(self.log_at, at - self.window) :] if t <= at)

    def _flood_ends(self) -> int:
        return min(
            t + self.window
            for t in self.log_at[-100:]  # none before the last `end` of them can be the one
            if t + self.window >= self.now and self._in_window(t + self.window) < self.end
        )

    def _tell(self, name: str, c: Case) -> None:
        self.log.append((self.now, name, False))
        self.log_at.append(self.now)
        if self.flood is None and self._in_window(self.now) > self.begin:
            self.floods.append({"from": self.now, "to": None, "n": 0, "held": [0, 0, 0]})
        held = False
        if self.flood is not None:
            rank = self.defs[c.kind].rank
            held = rank < self.keeps
            self.flood["n"] += 1
            self.flood["held"][rank] += held
        self.log[-1] = (self.now, name, held)
        c.told, c.held = True, held

    def _back(self, name: str, c: Case) -> None:
        """What set an alarm aside has ended, or one of several."""
        if c.aside:
            return
        if c.open and (c.active or (c.latch and not c.told)):
            self._tell(name, c)
        self._arm(c)

    def _arm(self, c: Case) -> None:
        wait = self.defs[c.kind].re_alarm
        c.again = self.now + wait if wait and c.active and not c.open and not c.aside else None

    def _by_design(self) -> None:
        """Let rules apply to all alarms, in order of their names."""
        if not any(d.by for d in self.defs.values()):
            return
        for name in sorted(self.cases):
            c = self.cases[name]
            wanted = {
                kind
                for kind in self.defs[c.kind].by
                if any(o.active and o.kind == kind and o.edge == c.edge for n, o in self.cases.items() if n != name)
            }
            had = {r for r in c.rules if r in self.defs}
            if wanted == had:
                continue
            was = c.aside
            c.rules = (c.rules - had) | wanted
            if c.aside:
                c.again = None
            elif was:
                self._back(name, c)

    # Being told of

    def report(
        self, name: str, kind: str, edge: str, holds: bool, since: int, value: float | None, limit: float | None
    ) -> None:
        c = self.cases.setdefault(name, Case(kind, edge))
        d = self.defs[kind]
        if not holds and c.holds and d.dead_band and value is not None and c.limit is not None:
            holds = abs(value) > (1 - d.dead_band) * abs(c.limit)
            if holds:
                return
        if holds:
            c.limit = limit
        self._by_design()
        if holds != c.holds:
            c.holds, c.since = holds, min(since, self.now)
            self._set_due(c)
        self.go(self.now)

    def _set_due(self, c: Case) -> None:
        d = self.defs[c.kind]
        c.due = None if c.holds == c.active else max(self.now, c.since + (d.on if c.holds else d.off))

    def complete(self, kinds: set[str], holding: set[str], said: int) -> None:
        for name, c in self.cases.items():
            if c.kind in kinds and name not in holding and c.holds and c.since <= min(said, self.now):
                c.holds, c.since = False, min(said, self.now)
                self._set_due(c)
        self.go(self.now)

    def command(self, verb: str, name: str, reason: str, span: int, rule: str) -> str:
        """Return why it is refused, or ''."""
        c = self.cases.get(name)
        if c is None:
            return "unknown_alarm"
        if verb in {"shelve", "suppress", "take_out_of_service", "return_to_service", "comment"} and not reason:
            return "reason_missing"
        was = c.aside
        refusal = getattr(self, f"_{verb}")(c, span, rule)
        if refusal:
            return str(refusal)
        if c.aside:
            if verb in {"shelve", "suppress", "take_out_of_service"}:
                c.again = None
        elif was:
            self._back(name, c)
        self.go(self.now)
        return ""

    def _acknowledge(self, c: Case, span: int, rule: str) -> str:
        if c.out:
            return "out_of_service"
        if not c.open:
            return "nothing_to_acknowledge"
        if not c.told:
            return "not_annunciated"
        c.open = False
        self._arm(c)
        return ""

    def _reset(self, c: Case, span: int, rule: str) -> str:
        for wrong, name in (
            (c.out, "out_of_service"), (not c.latch, "not_latched"), (c.active, "still_active"),
            (c.open, "not_acknowledged"),
        ):  # fmt: skip
            if wrong:
                return name
        c.latch = False
        return ""

    def _shelve(self, c: Case, span: int, rule: str) -> str:
        longest = self.defs[c.kind].longest
        for wrong, name in (
            (c.out, "out_of_service"), (c.shelf is not None, "already_shelved"), (longest == 0, "may_not_be_shelved"),
            (not 0 < span <= longest, "too_long"),
        ):  # fmt: skip
            if wrong:
                return name
        c.shelf = self.now + span
        return ""

    def _unshelve(self, c: Case, span: int, rule: str) -> str:
        if c.shelf is None:
            return "not_shelved"
        c.shelf = None
        return ""

    def _suppress(self, c: Case, span: int, rule: str) -> str:
        if rule in c.rules:
            return "already_suppressed"
        c.rules.add(rule)
        return ""

    def _unsuppress(self, c: Case, span: int, rule: str) -> str:
        if rule not in c.rules:
            return "not_suppressed"
        c.rules.discard(rule)
        return ""

    def _take_out_of_service(self, c: Case, span: int, rule: str) -> str:
        if c.out:
            return "already_out_of_service"
        c.out = True
        return ""

    def _return_to_service(self, c: Case, span: int, rule: str) -> str:
        if not c.out:
            return "not_out_of_service"
        c.out = False
        return ""

    def _comment(self, c: Case, span: int, rule: str) -> str:
        return ""
