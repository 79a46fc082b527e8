"""A condition bears the trace of the block at which it began, until it ends and when it is said again."""

from __future__ import annotations

import dataclasses

import structlog

from dyncal.domain.alarms import AlarmKind, Condition
from dyncal.domain.samples import SampleBlock
from dyncal.domain.sensors import SiteId
from dyncal.domain.time import DurationNs, InstantNs, UniformAxis
from dyncal.domain.traces import trace_of
from dyncal.runtime import logging
from dyncal.runtime.following import TAKEN, follower
from dyncal.runtime.settings import TraceSettings
from dyncal.testing.records import block
from services.calibrate.tracing import Tracing

NOW = InstantNs(1_700_000_000_000_000_000)


def numbered(k: int) -> SampleBlock:
    return block([1.0, 2.0], sequence=k, axis=UniformAxis(InstantNs(NOW + k * 10**9), DurationNs(10**8), 2))


def test_a_condition_bears_the_trace_of_the_block_at_which_it_began() -> None:
    first, second = numbered(0), numbered(1)
    tracing = Tracing(None)
    found = Condition(SiteId("plant"), first.sensor, AlarmKind.DRIFT, holds=True, at_ns=NOW)
    assert tracing.traced(found).trace == ""  # nothing has come: none is made up
    tracing.saw(first, NOW, NOW)
    begun = tracing.traced(found)
    assert begun.trace == trace_of(first.sensor, int(first.axis.t_ns[0]))
    tracing.saw(second, NOW, NOW)
    assert tracing.traced(found) == begun  # said again, with more words or after a reconnection
    ended = dataclasses.replace(found, holds=False)
    assert tracing.traced(ended).trace == begun.trace
    assert tracing.traced(found).trace == trace_of(second.sensor, int(second.axis.t_ns[0]))  # it begins anew


def test_what_the_registry_knew_before_a_restart_stays() -> None:
    known = Condition(SiteId("plant"), "TT", AlarmKind.DRIFT, holds=True, at_ns=NOW, trace="ab" * 16)
    assert Tracing(None).traced(known) == known


def test_followed_blocks_are_logged() -> None:
    taken = numbered(4)
    with structlog.testing.capture_logs() as said:
        tracing = Tracing(follower(TraceSettings(one_in=5), "calibrate", logging.logger("calibrate")))
        for k in range(5):
            tracing.saw(numbered(k), NOW, NOW)
    assert [(line["event"], line["trace"]) for line in said] == [
        (TAKEN, trace_of(taken.sensor, int(taken.axis.t_ns[0])))
    ]
