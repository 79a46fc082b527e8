"""One environment for all that need one: making it is most of what these tests cost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.deployment import environments


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree."""
    return environments.wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def light(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    """Python of an environment with the wheel and the extra `edge`."""
    return environments.install(tmp_path_factory.mktemp("light") / "venv", wheel, "edge")
