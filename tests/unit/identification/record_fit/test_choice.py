from __future__ import annotations

import numpy as np
import pytest

from dyncal.domain.errors import InvalidData
from dyncal.domain.sensors import ModelKind
from dyncal.identification.record_fit import choose_model
from tests.unit.identification.record_fit.records import THETA, random_record


@pytest.mark.parametrize("kind", list(THETA))
def test_the_kind_that_made_the_record_is_chosen(kind: ModelKind) -> None:
    choice = choose_model(random_record(kind, 3000, 40.0, 1))
    assert choice.fit.accepted, choice.table()
    assert choice.fit.model.kind is kind, choice.table()
    assert choice.fit.parameters is not None
    assert np.all(np.abs(choice.fit.parameters.values - THETA[kind]) < 4 * choice.fit.parameters.u)
    assert len(choice.candidates) == 3
    assert str(kind) in choice.table()


def test_nothing_to_choose_from() -> None:
    record = random_record(ModelKind.FIRST_ORDER, 100, 40.0, 1)
    with pytest.raises(InvalidData):
        choose_model(record, ())
    with pytest.raises(InvalidData):
        choose_model(record, (ModelKind.FIRST_ORDER, ModelKind.FIRST_ORDER))
