"""The published interface is the one in docs/openapi.json: who changes it says so there, and in API_VERSION.

Write it anew with ``python -m tests.unit.services.api.test_openapi``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs

from services.api.app import create_app, openapi
from services.api.deps import Deps
from tests.unit.services.api.conftest import Api

FILE = Path(__file__).parents[4] / "docs" / "openapi.json"


def text_of(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


async def test_the_interface_is_as_published(api: Api) -> None:
    served = (await api.http.get("/openapi.json")).json()
    assert text_of(served) == FILE.read_text(encoding="utf-8"), (
        "the interface has changed: raise API_VERSION in services/api/app.py and run "
        "python -m tests.unit.services.api.test_openapi"
    )


async def test_every_error_is_a_problem_and_every_operation_is_described(api: Api) -> None:
    document = (await api.http.get("/openapi.json")).json()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["description"], (method, path)
            assert "application/problem+json" in operation["responses"]["default"]["content"], (method, path)
            assert "422" not in operation["responses"]


async def test_every_schema_has_an_example_that_fits_it(api: Api) -> None:
    document = (await api.http.get("/openapi.json")).json()
    schemas = document["components"]["schemas"]
    for name, schema in schemas.items():
        if "enum" in schema:
            continue
        assert schema.get("examples"), name
        whole = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        validator = jsonschema_rs.Draft202012Validator(whole)
        for example in schema["examples"]:
            faults = [f"{name}: {error.message}" for error in validator.iter_errors(example)]
            assert faults == []


async def test_the_routes_of_the_design_are_there(api: Api) -> None:
    paths = set((await api.http.get("/openapi.json")).json()["paths"])
    assert paths >= {
        "/v1/sensors",
        "/v1/sensors/{sensor}",
        "/v1/sensors/{sensor}/samples",
        "/v1/sensors/{sensor}/gaps",
        "/v1/sensors/{sensor}/pairing",
        "/v1/calibrations",
        "/v1/calibrations/{calibration_id}",
        "/v1/coefficient-sets",
        "/v1/coefficient-sets/{set_id}",
        "/v1/coefficient-sets/{set_id}/envelope",
        "/v1/edges/{edge}/coefficients",
        "/v1/alarms",
        "/v1/alarms/history",
        "/v1/audit",
        "/v1/stream",
        "/healthz",
        "/readyz",
        "/metrics",
    }


if __name__ == "__main__":
    import tempfile

    from dyncal.adapters.registry import open_registry
    from dyncal.runtime.clocks import SimulatedClock
    from dyncal.runtime.settings import RegistrySettings
    from dyncal.testing.store import MemorySampleStore

    with tempfile.TemporaryDirectory() as folder:
        registry = open_registry(RegistrySettings(), Path(folder))
        FILE.write_text(
            text_of(openapi(create_app(Deps.make(registry, MemorySampleStore(), SimulatedClock())))), encoding="utf-8"
        )
        registry.close()
