"""Sets that no edge may apply, offered to one by the thousand: mutated, replayed, expired, foreign, unstable.

    python -m tests.hostile.sets --n 10000 --seed 1

offers them as they come from the broker to the edge's own inbox and engine, with real signatures, while it corrects a
stream; now and then it is restarted from what it kept. Every offer has a reason of its own for which it must be refused
and reported; the stream must come out as that of an edge which was offered nothing, to the last bit. With `--broker` it
is the edge's program, and mosquitto is in between. Prints one line of JSON, and ends with 0 only if all of that held.
"""

from __future__ import annotations

import argparse
import base64
import dataclasses
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from dyncal.adapters.signing import key_id_of
from dyncal.contracts.coefficients import seal
from dyncal.contracts.topics import EdgeAddress
from dyncal.domain.coefficients import CoefficientSet, Outcome
from dyncal.domain.sensors import SensorId, SiteId
from dyncal.domain.time import NS_PER_S, InstantNs
from edge_agent import inbox
from edge_agent.acceptance import Policy
from edge_agent.agent import AgentEngine
from edge_agent.events import Drain, Effect, Tick
from tests.unit.edge_agent.helpers import (
    DT,
    EDGE,
    SENSOR,
    T0,
    coefficient_set,
    config,
    engine,
    kept,
    lagged,
    read,
    records,
    reports,
    times,
)

ADDRESS = EdgeAddress(SiteId("plant"), EDGE)
IN_FORCE = 1000  # sequence of the set that runs
CHUNK = 20  # samples between two offers
RESTART_EVERY = 997


class Key:
    """A real Ed25519 key, by its own name or one that it claims."""

    def __init__(self, seed: int, claims: str = "") -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(seed.to_bytes(32, "big"))
        self.key_id = claims or key_id_of(self.public)

    @property
    def public(self) -> Ed25519PublicKey:
        return self._private.public_key()

    def sign(self, message: bytes) -> bytes:
        return self._private.sign(message)

    def verify(self, key_id: str, message: bytes, signature: bytes) -> bool:
        if key_id != self.key_id:
            return False
        try:
            self._private.public_key().verify(signature, message)
        except InvalidSignature:
            return False
        return True


KEY, STRANGER = Key(1), Key(2)
IMPOSTOR = Key(2, KEY.key_id)


class Offer(NamedTuple):
    """What is offered, and the words of which one must begin the reason of its rejection."""

    kind: str
    payload: bytes
    reasons: tuple[str, ...]


Maker = Callable[[np.random.Generator, InstantNs], Offer]


def fresh(rng: np.random.Generator, now: InstantNs, **changes: Any) -> CoefficientSet:
    """Return a set that nothing speaks against, but for the changes."""
    made = coefficient_set(int(rng.integers(IN_FORCE + 1, 10**6)), valid_from=InstantNs(now - NS_PER_S))
    return dataclasses.replace(made, apply_until_ns=InstantNs(now + 3600 * NS_PER_S), **changes)


def rewritten(payload: bytes, **fields: Any) -> bytes:
    return json.dumps(json.loads(payload) | fields, sort_keys=True, separators=(",", ":")).encode()


def with_text(payload: bytes, text: str, key: Key | None = None) -> bytes:
    """Put another text in, with its right digest; signed if a key is given."""
    signed = {} if key is None else {"signature": base64.b64encode(key.sign(text.encode())).decode()}
    return rewritten(payload, set=text, sha256=hashlib.sha256(text.encode()).hexdigest(), **signed)


def flipped(rng: np.random.Generator, now: InstantNs) -> Offer:
    payload = bytearray(seal(fresh(rng, now), KEY))
    payload[rng.integers(len(payload))] ^= 1 << int(rng.integers(8))
    return Offer("flipped bit", bytes(payload), ("malformed", "digest", "signature"))


def cut(rng: np.random.Generator, now: InstantNs) -> Offer:
    payload = seal(fresh(rng, now), KEY)
    return Offer("cut short", payload[: rng.integers(1, len(payload))], ("malformed",))


def changed(rng: np.random.Generator, now: InstantNs) -> Offer:
    payload = seal(fresh(rng, now), KEY)
    text = json.loads(payload)["set"]
    digits = [k for k, c in enumerate(text) if c.isdigit()]
    k = int(rng.choice(digits))
    text = text[:k] + str((int(text[k]) + int(rng.integers(1, 9))) % 10) + text[k + 1 :]
    return Offer("changed number", rewritten(payload, set=text), ("digest",))


def changed_with_digest(rng: np.random.Generator, now: InstantNs) -> Offer:
    payload = seal(fresh(rng, now), KEY)
    text = json.loads(payload)["set"].replace('"residual_limit":0.0', f'"residual_limit":{rng.random()}')
    return Offer("changed, digest made to fit", with_text(payload, text), ("signature",))


def other_signature(rng: np.random.Generator, now: InstantNs) -> Offer:
    forged = base64.b64encode(rng.bytes(int(rng.choice([0, 32, 63, 64, 65])))).decode()
    return Offer("random signature", rewritten(seal(fresh(rng, now), KEY), signature=forged), ("signature",))


def respelled(rng: np.random.Generator, now: InstantNs) -> Offer:
    payload = seal(fresh(rng, now), KEY)
    outer = json.loads(payload)
    if rng.random() < 0.5:
        return Offer("respelled digest", rewritten(payload, sha256=outer["sha256"].upper()), ("digest",))
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    last = outer["signature"].rstrip("=")[-1]  # its last bits belong to no byte
    other = alphabet[alphabet.index(last) ^ int(rng.integers(1, 16))]
    spelled = outer["signature"].rstrip("=")[:-1] + other + "=="
    return Offer("respelled signature", rewritten(payload, signature=spelled), ("malformed",))


def replayed(rng: np.random.Generator, now: InstantNs) -> Offer:
    sequence = int(rng.integers(1, IN_FORCE))
    made = coefficient_set(sequence, valid_from=InstantNs(now - NS_PER_S))
    return Offer("replayed", seal(made, KEY), ("sequence",))


def twin(rng: np.random.Generator, now: InstantNs) -> Offer:
    made = dataclasses.replace(fresh(rng, now), sequence=IN_FORCE, id=f"twin-{rng.integers(10**6)}")
    return Offer("another one of the same number", seal(made, KEY), ("sequence",))


def expired(rng: np.random.Generator, now: InstantNs) -> Offer:
    late_ns = int(10 ** rng.uniform(0, 17))
    made = dataclasses.replace(fresh(rng, now), apply_until_ns=InstantNs(max(now - late_ns, 0)))
    return Offer("expired", seal(made, KEY), ("expired",))


def from_the_future(rng: np.random.Generator, now: InstantNs) -> Offer:
    ahead_ns = 86_400 * NS_PER_S + int(10 ** rng.uniform(9, 17))
    made = dataclasses.replace(fresh(rng, now), valid_from_ns=InstantNs(now + ahead_ns), apply_until_ns=None)
    return Offer("from the future", seal(made, KEY), ("valid_from",))


def stranger(rng: np.random.Generator, now: InstantNs) -> Offer:
    return Offer("signed by a stranger", seal(fresh(rng, now), STRANGER), ("signature",))


def impostor(rng: np.random.Generator, now: InstantNs) -> Offer:
    return Offer("signed by a stranger under our key's name", seal(fresh(rng, now), IMPOSTOR), ("signature",))


def other_sensor(rng: np.random.Generator, now: InstantNs) -> Offer:
    made = fresh(rng, now, sensor=SensorId(f"TT-{rng.integers(102, 999)}"))
    return Offer("of another sensor", seal(made, KEY), ("sensor",))


def for_a_trial(rng: np.random.Generator, now: InstantNs) -> Offer:
    return Offer("signed for a trial", seal(fresh(rng, now), KEY, shadow=True), ("use",))


def to_come(rng: np.random.Generator, now: InstantNs) -> Offer:
    payload = seal(fresh(rng, now), KEY)
    text = json.dumps(json.loads(json.loads(payload)["set"]) | {"v": int(rng.integers(5, 99))})
    return Offer("of a version to come", with_text(payload, text, KEY), ("malformed",))


def not_finite(rng: np.random.Generator, now: InstantNs) -> Offer:
    payload = seal(fresh(rng, now), KEY)
    content = json.loads(json.loads(payload)["set"])
    content["filter"]["fir"] = [1.0, "@"]
    text = json.dumps(content).replace('"@"', str(rng.choice(["1e999", "NaN", "-Infinity", "null"])))
    return Offer("not finite", with_text(payload, text, KEY), ("malformed", "not_finite"))


def unstable(rng: np.random.Generator, now: InstantNs) -> Offer:
    made = fresh(rng, now)
    radius = 1 + 10 ** rng.uniform(-5, 1)
    angle = rng.uniform(0, np.pi)
    row = np.array([[1.0, 0, 0, 1, -2 * radius * np.cos(angle), radius**2]])
    made = _with(made, sos=row) if rng.random() < 0.5 else _with(made, sensitivities=_swinging(made, row[0]))
    return Offer("unstable", seal(made, KEY), ("pole_radius",))


def _swinging(made: CoefficientSet, row: np.ndarray) -> np.ndarray:
    rows = made.filter.sensitivities.copy()
    rows[-1, 3:] = row[4:]
    return rows


def too_loud(rng: np.random.Generator, now: InstantNs) -> Offer:
    made = fresh(rng, now)
    loud = 10 ** rng.uniform(4, 9)
    fir = made.filter.fir + np.array([loud, -loud])  # the same at DC
    return Offer("loud", seal(_with(made, fir=fir), KEY), ("noise_gain",))


def too_strong(rng: np.random.Generator, now: InstantNs) -> Offer:
    made = fresh(rng, now)
    return Offer("gain at DC", seal(_with(made, fir=made.filter.fir * rng.uniform(2.1, 9)), KEY), ("dc_gain",))


def too_late(rng: np.random.Generator, now: InstantNs) -> Offer:
    made = _with(fresh(rng, now), delay=int(rng.integers(4097, 60_000)))
    return Offer("latency", seal(made, KEY), ("latency",))


def other_interval(rng: np.random.Generator, now: InstantNs) -> Offer:
    made = _with(fresh(rng, now), dt_ns=round(DT * (1 + 10 ** rng.uniform(-2.5, 2))))
    return Offer("interval", seal(made, KEY), ("interval",))


def impossible_covariance(rng: np.random.Generator, now: InstantNs) -> Offer:
    made = fresh(rng, now)
    cov = np.array([[1e-6, 1.0], [1.0, 1e-6]]) * rng.uniform(0.1, 10)
    made = dataclasses.replace(made, parameters=dataclasses.replace(made.parameters, cov=cov))
    return Offer("covariance", seal(made, KEY), ("covariance",))


def nonsense(rng: np.random.Generator, now: InstantNs) -> Offer:
    del now
    return Offer("noise", rng.bytes(int(rng.integers(1, 400))), ("malformed",))


def _with(made: CoefficientSet, **changes: Any) -> CoefficientSet:
    return dataclasses.replace(made, correction=dataclasses.replace(made.filter, **changes))


MAKERS: tuple[Maker, ...] = (
    flipped, cut, changed, changed_with_digest, other_signature, respelled, replayed, twin, expired, from_the_future,
    stranger, impostor, other_sensor, for_a_trial, to_come, not_finite, unstable, too_loud, too_strong, too_late,
    other_interval, impossible_covariance, nonsense,
)  # fmt: skip


@dataclass
class Result:
    """What came of it."""

    offered: Counter[str] = field(default_factory=Counter)
    applied: list[str] = field(default_factory=list)
    wrong_reason: list[str] = field(default_factory=list)
    not_reported: list[str] = field(default_factory=list)
    n_restarts: int = 0
    n_samples: int = 0
    same_stream: bool = False

    @property
    def passed(self) -> bool:
        """Whether nothing was applied, every rejection was reported rightly, and the stream knew nothing of it."""
        return not (self.applied or self.wrong_reason or self.not_reported) and self.same_stream

    def shown(self) -> dict[str, Any]:
        """Return a form for JSON."""
        return {
            "n": sum(self.offered.values()),
            "applied": len(self.applied),
            "wrong_reason": self.wrong_reason[:5],
            "not_reported": self.not_reported[:5],
            "restarts": self.n_restarts,
            "samples": self.n_samples,
            "same_stream": self.same_stream,
            "passed": self.passed,
            "offered": dict(self.offered),
        }


def started() -> tuple[AgentEngine, bytes]:
    """Return an edge that runs a set, and what it keeps on disk."""
    agent = engine(config(), policy=Policy(KEY))
    payload = seal(coefficient_set(IN_FORCE), KEY)
    (event,) = inbox.read(ADDRESS.desired(SENSOR), payload, ADDRESS, T0, lambda _: None)
    return agent, kept(agent.handle(event))


def offered_all(n: int, seed: int) -> Result:
    """Offer `n` sets to an edge that corrects a stream."""
    rng, result = np.random.default_rng(seed), Result()
    agent, on_disk = started()
    control, _ = started()
    y = lagged(20 + np.sin(np.arange(CHUNK * n) / 40)) + 0.01 * rng.standard_normal(CHUNK * n)
    ours: list[bytes] = []
    theirs: list[bytes] = []
    for k in range(n):
        part, t_ns = y[k * CHUNK : (k + 1) * CHUNK], times(CHUNK, k * CHUNK)
        now = InstantNs(int(t_ns[-1]))
        ours += corrected(agent.handle(read(t_ns, part)))
        theirs += corrected(control.handle(read(t_ns, part)))
        offer = MAKERS[int(rng.integers(len(MAKERS)))](rng, now)
        effects = offered(agent, offer, now, result)
        ours += corrected(effects)
        theirs += corrected(control.handle(Drain(now)))  # an offer ends a block, too
        if (k + 1) % RESTART_EVERY == 0:
            result.n_restarts += 1
            agent, control = restarted(on_disk, now), restarted(on_disk, now)
    result.n_samples = CHUNK * n
    result.same_stream = b"".join(ours) == b"".join(theirs) and len(ours) > 0
    return result


def restarted(on_disk: bytes, now: InstantNs) -> AgentEngine:
    agent = engine(config(), policy=Policy(KEY))
    (report,) = reports(agent.restore({SENSOR: on_disk}, now, {SENSOR: IN_FORCE}))
    assert (report.outcome, report.sequence) == (Outcome.APPLIED, IN_FORCE)
    return agent


def offered(agent: AgentEngine, offer: Offer, now: InstantNs, result: Result) -> list[Effect]:
    """Offer one, and note what was wrong with the answer."""
    result.offered[offer.kind] += 1
    before = agent.streams[SENSOR].adjustment.set_id
    events = inbox.read(ADDRESS.desired(SENSOR), offer.payload, ADDRESS, now, lambda _: None)
    effects = [effect for event in events for effect in agent.handle(event)]
    effects += agent.handle(Tick(now))
    told = reports(effects)
    words = f"{offer.kind}: {[(r.outcome.value, r.reason[:80]) for r in told]}"
    if agent.streams[SENSOR].adjustment.set_id != before or any(r.outcome is Outcome.APPLIED for r in told):
        result.applied.append(words)
    if len(told) != 1:
        result.not_reported.append(words)
    elif told[0].outcome is not Outcome.REJECTED or told[0].reason.split(":")[0] not in offer.reasons:
        result.wrong_reason.append(words)
    return effects


def corrected(effects: list[Effect]) -> list[bytes]:
    """Return the corrected values, to the last bit."""
    found = []
    for record in records(effects):
        span = getattr(record, "corrected", None)
        if span is not None:
            found += [span.axis.t_ns.tobytes(), span.value.tobytes(), span.u.tobytes(), span.set_id.encode()]
    return found


def main() -> int:
    """Offer as many as is asked for, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--broker", action="store_true", help="to the edge's program, through mosquitto")
    given = parser.parse_args()
    if given.broker:
        from tests.hostile.broker import offered_through_broker  # it needs what is above

        result = offered_through_broker(given.n, given.seed)
    else:
        result = offered_all(given.n, given.seed)
    sys.stdout.write(json.dumps({"seed": given.seed, **result.shown()}) + "\n")
    return 0 if result.passed else 1


if __name__ == "__main__":
    sys.exit(main())
