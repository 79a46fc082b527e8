"""One environment for all that need one: making it is most of what these tests cost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.deployment import environments


@pytest.fixture(scope="session")
def light(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of what the edge's image has: the wheel and the extra `edge`, made by the image's own commands."""
    directory = tmp_path_factory.mktemp("edge")
    made = environments.build(environments.CONTAINERS / "edge.Containerfile", directory, DYNCAL_SKIP_CONSOLE="1")
    # an image holds what is compiled, and an edge does without what compiling leaves in memory
    environments.run(str(made), "-c", "import edge_agent.service, edge_agent.readers.opcua")
    return made


@pytest.fixture(scope="session")
def wheel(light: Path) -> Path:
    """The wheel that it was made of."""
    (built,) = (light.parents[2] / "wheels").glob("dyncal-*.whl")
    return built
