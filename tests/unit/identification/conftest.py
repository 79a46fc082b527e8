"""What several of these tests count."""

from __future__ import annotations

from typing import Any

import pytest

from dyncal.identification.kalman.measurand import Process
from dyncal.identification.online.fleet import full_likelihood

Begun = list[tuple[int, Process | None]]


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> Begun:
    """Return a list of the fits of whole records by the full likelihood from now on: samples, and process if given."""
    found: Begun = []
    real = full_likelihood.found

    def counted(model: Any, samples: Any, eta: Any, settings: Any, process: Process | None = None) -> Any:
        found.append((samples[0].size, process))
        return real(model, samples, eta, settings, process)

    monkeypatch.setattr(full_likelihood, "found", counted)
    return found
