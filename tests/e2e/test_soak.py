"""The short form of ``python -m tests.soak``: what it counts; times mean nothing on a machine that tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak.__main__ import soak
from tests.soak.plant import Load

LOAD = Load(n_sensors=10, rate_hz=500, per_message=100)


@pytest.mark.mosquitto
@pytest.mark.timeout(120)
def test_many_sensors_are_calibrated_corrected_and_stored_without_a_loss(tmp_path: Path) -> None:
    figures = {figure.what: figure for figure in soak(LOAD, tmp_path, 20.0)}
    for what in (
        "samples a second sent",
        "samples missing in the store",
        "samples that nobody sent",
        "programs that did not end as they should",
    ):
        assert figures[what].reached, figures[what]
    assert figures["of these blocks, corrected, of all heard"].value > 0.1
    (applied,) = (figure for what, figure in figures.items() if what.startswith("set published"))
    assert applied.n >= LOAD.n_sensors / 2, "few sets were applied"
    assert all(figure.reached for what, figure in figures.items() if "handles" in what)
