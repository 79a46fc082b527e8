"""Values that were not measured never pass for measurements."""

from __future__ import annotations

import numpy as np
import pytest

from dyncal.domain.calibration import Verdict
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import ModelKind
from dyncal.identification import AlignedRecord
from dyncal.identification.record_fit import fit_record
from dyncal.models import Hold, model_of
from tests.unit.identification.record_fit.records import DT_S, THETA, instants, random_record


def _frozen(values: FloatArray, n: int) -> FloatArray:
    changed = values.copy()
    changed[1000 : 1000 + n] = changed[1000]
    return changed


@pytest.mark.parametrize("kind", [ModelKind.FIRST_ORDER, ModelKind.SECOND_ORDER])
@pytest.mark.parametrize("n", [20, 150, 400])
@pytest.mark.parametrize("channels", ["indication", "reference", "both"])
def test_a_channel_that_stands_still_for_a_while_is_named(kind: ModelKind, n: int, channels: str) -> None:
    record = random_record(kind, 3000, 40.0, 7)
    y, r = record.indication, record.reference
    y = y if channels == "reference" else _frozen(y, n)
    r = r if channels == "indication" else _frozen(r, n)
    fit = fit_record(AlignedRecord(record.t_ns, y, r), kind)
    assert fit.verdict is Verdict.BAD_DATA
    assert f"the {'reference' if channels == 'reference' else 'indication'} stands still at" in fit.detail
    assert f"for {n} samples from {record.t_ns[1000]} ns" in fit.detail
    # what is left out as `detail` asks for leads to the right answer
    y[1000 : 1000 + n] = np.nan if channels != "reference" else y[1000 : 1000 + n]
    r[1000 : 1000 + n] = np.nan if channels != "indication" else r[1000 : 1000 + n]
    sound = fit_record(AlignedRecord(record.t_ns, y, r), kind)
    assert sound.accepted, sound.detail
    assert sound.parameters is not None
    assert np.all(np.abs(sound.parameters.values - THETA[kind]) < 4 * sound.parameters.u)


@pytest.mark.parametrize("n", [3, 20])
@pytest.mark.parametrize("channel", ["indication", "reference"])
def test_a_source_slower_than_its_sampling_is_named(n: int, channel: str) -> None:
    record = random_record(ModelKind.FIRST_ORDER, 3000, 40.0, 8)
    y, r = record.indication, record.reference
    held = np.repeat((y if channel == "indication" else r)[::n], n)[:3000]
    changed = AlignedRecord(record.t_ns, held, r) if channel == "indication" else AlignedRecord(record.t_ns, y, held)
    fit = fit_record(changed, ModelKind.FIRST_ORDER)
    assert not fit.accepted
    assert f"the {channel} repeats each value some {n} times" in fit.detail


@pytest.mark.parametrize("kind", [ModelKind.FIRST_ORDER, ModelKind.SECOND_ORDER])
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_a_converter_is_no_standstill(kind: ModelKind, bits: int) -> None:
    record = random_record(kind, 3000, 40.0, 9)
    step = 10 / 2**bits
    y, r = (np.round(values / step) * step for values in (record.indication, record.reference))
    fit = fit_record(AlignedRecord(record.t_ns, y, r), kind)
    assert "still" not in fit.detail
    assert "repeats" not in fit.detail


@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_a_command_of_any_levels_is_no_standstill(noise: float) -> None:
    rng = np.random.default_rng(3)
    kind = ModelKind.FIRST_ORDER
    t_ns, command = instants(3000, DT_S[kind]), np.repeat(rng.normal(size=30), 100)
    y = model_of(kind).simulate(THETA[kind], t_ns, command, Hold.ZERO) + noise * rng.normal(size=3000)
    fit = fit_record(AlignedRecord(t_ns, y, command), kind)
    assert fit.accepted, fit.detail
