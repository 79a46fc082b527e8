"""What travels on the live stream: fragments of JSON for each sensor, encoded once and shared by all clients."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from dyncal.domain import quality
from dyncal.domain.samples import CorrectedSpan, FloatArray, Gap, SampleBlock
from dyncal.domain.time import InstantNs

Int64Array = npt.NDArray[np.int64]


@dataclass(slots=True)
class Latest:
    """The newest values of one sensor: raw and corrected have instants of their own."""

    raw_t_ns: int = -1
    raw: float = float("nan")
    quality: int = 0
    corrected_t_ns: int = -1
    corrected: float = float("nan")
    u: float = float("nan")
    set_id: str = ""

    def take(self, block: SampleBlock) -> None:
        """Take over the last values of a block."""
        self.raw_t_ns = int(block.axis.t_ns[-1])
        self.raw = float(block.raw[-1])
        self.quality = block.quality[-1][0]
        span = block.corrected
        if span is not None and len(span):
            self.corrected_t_ns = int(span.axis.t_ns[-1])
            self.corrected, self.u, self.set_id = float(span.value[-1]), float(span.u[-1]), span.set_id

    def after(self, block: SampleBlock) -> Latest:
        """Return the newest values after a block; these stay as they are, for threads that are reading them."""
        then = Latest(self.raw_t_ns, self.raw, self.quality, self.corrected_t_ns, self.corrected, self.u, self.set_id)
        then.take(block)
        return then

    def encode(self, sensor: str) -> bytes:
        """Return the JSON object of these values."""
        return msgspec.json.encode(
            {
                "sensor": sensor,
                "t_ns": self.raw_t_ns if self.raw_t_ns >= 0 else None,
                "raw": self.raw,
                "quality": self.quality,
                "corrected_t_ns": self.corrected_t_ns if self.corrected_t_ns >= 0 else None,
                "corrected": self.corrected,
                "u": self.u,
                "set": self.set_id,
            }
        )


@dataclass(slots=True)
class Trend:
    """Blocks of one sensor that arrived within one frame."""

    blocks: list[SampleBlock] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)

    @property
    def n_bytes(self) -> int:
        """Memory that the arrays hold [bytes], near enough."""
        return sum(400 + 16 * len(b) + 24 * len(b.corrected or ()) for b in self.blocks) + 200 * len(self.gaps)

    def encode(self, sensor: str, points: int) -> bytes:
        """Return the JSON object of this trend with at most about `points` samples of each kind."""
        body: dict[str, Any] = {"sensor": sensor, "raw": _raw(self.blocks, points)}
        body["corrected"] = _corrected([b.corrected for b in self.blocks if b.corrected is not None], points)
        if self.gaps:
            body["gaps"] = [
                {"after_ns": g.after_ns, "before_ns": g.before_ns, "cause": g.cause, "n_lost": g.n_lost}
                for g in self.gaps
            ]
        return msgspec.json.encode(body)


def _raw(blocks: Sequence[SampleBlock], points: int) -> dict[str, Any] | None:
    if not blocks:
        return None
    t_ns = np.concatenate([block.axis.t_ns for block in blocks])
    raw = np.concatenate([block.raw for block in blocks])
    codes = np.concatenate([quality.expand(block.quality) for block in blocks])
    keep = extremes(raw, points)
    body = {**_instants(t_ns[keep]), "value": raw[keep].tolist()}
    if codes.any():
        body["quality"] = codes[keep].tolist()
    return body


def _corrected(spans: Sequence[CorrectedSpan], points: int) -> list[dict[str, Any]]:
    """Return one object for each run of spans that one set made."""
    runs: list[list[CorrectedSpan]] = []
    for span in spans:
        if not len(span):
            continue
        if runs and runs[-1][0].set_id == span.set_id:
            runs[-1].append(span)
        else:
            runs.append([span])
    bodies = []
    for run in runs:
        t_ns = np.concatenate([span.axis.t_ns for span in run])
        value = np.concatenate([span.value for span in run])
        u = np.concatenate([span.u for span in run])
        keep = extremes(value, points)
        bodies.append(
            {"set": run[0].set_id, **_instants(t_ns[keep]), "value": value[keep].tolist(), "u": u[keep].tolist()}
        )
    return bodies


def _instants(t_ns: Int64Array) -> dict[str, Any]:
    """Return instants as a base and offsets: a browser's numbers hold the offsets exactly."""
    return {"t0_ns": int(t_ns[0]), "offset_ns": (t_ns - t_ns[0]).tolist()}


def extremes(values: FloatArray, points: int) -> npt.NDArray[np.intp]:
    """Return the positions, in order, of at most about `points` values such that no extreme is lost.

    The record is cut into ``points / 2`` equal buckets; of each the smallest and the largest value stay. A bucket of
    NaN keeps its first one, so that a hole stays a hole.
    """
    n = values.size
    if n <= points:
        return np.arange(n)
    edges = np.linspace(0, n, max(points // 2, 1) + 1).astype(np.intp)
    kept: set[int] = {n - 1}
    for lower, upper in itertools.pairwise(edges):
        part = values[lower:upper]
        missing = np.isnan(part)
        if missing.any():
            kept.add(int(lower + np.argmax(missing)))
        if not missing.all():
            kept.update((int(lower + np.nanargmin(part)), int(lower + np.nanargmax(part))))
    return np.array(sorted(kept), np.intp)


def sse(event: str, data: bytes, event_id: int | None) -> bytes:
    """Return one server-sent event; `data` is JSON and hence without line ends."""
    head = b"" if event_id is None else b"id: %d\n" % event_id
    return head + b"event: " + event.encode() + b"\ndata: " + data + b"\n\n"


def now_body(now: InstantNs, **extra: Any) -> bytes:
    """Return a JSON object that tells the server's time."""
    return msgspec.json.encode({"now_ns": now, **extra})
