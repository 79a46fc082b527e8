"""What all shapes have in common."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

INSTANT = "Nanoseconds since 1970-01-01T00:00:00Z."

InstantNs = Annotated[int, Field(description=INSTANT, examples=[1_769_860_800_000_000_000], ge=0)]


class Shape(BaseModel):
    """A shape whose fields are described by the strings below them."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


def number(value: float | None) -> float | None:
    """Return a number as JSON has it: None where it is not finite."""
    return value if value is not None and math.isfinite(value) else None


def example(**fields: Any) -> ConfigDict:
    """Return the configuration of a shape with one example."""
    return ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, json_schema_extra={"examples": [fields]}
    )
