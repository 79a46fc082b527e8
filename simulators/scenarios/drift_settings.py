"""What a scenario says of how a sensor's parameters change."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from dyncal.domain.time import duration
from dyncal.runtime.settings import Section
from simulators.physics.laws import Ageing, Cycle, Law, Ramp, Saturating, Slowing
from simulators.scenarios.converter_settings import SpanSpec

_Factor = Annotated[float, Field(gt=0, le=100)]
_Since = Annotated[float, Field(ge=0, le=1e6)]
_Lasting = Annotated[float, Field(gt=0, le=1e7)]


class _LawSpec(Section):
    parameter: str
    """The parameter, such as `tau_s`."""


class RampSpec(SpanSpec, _LawSpec):
    """A parameter grows linearly to `factor` times its value; at once, a break, if from_s = to_s."""

    kind: Literal["ramp"] = "ramp"

    factor: _Factor
    """Final value over first value."""

    def law(self, index: int) -> Law:
        """Return the law for the parameter at `index`."""
        return Ramp(index, duration(self.from_s), duration(self.to_s), self.factor)


class SaturatingSpec(_LawSpec):
    """A parameter goes towards `factor` times its value: fouling, loss of sensitivity."""

    kind: Literal["saturating"]

    from_s: _Since
    """Begin [s]."""

    time_constant_s: _Lasting
    """In which 63 % of it are done [s]."""

    factor: _Factor
    """Final value over first value."""

    def law(self, index: int) -> Law:
        """Return the law for the parameter at `index`."""
        return Saturating(index, duration(self.from_s), duration(self.time_constant_s), self.factor)


class AgeingSpec(SpanSpec, _LawSpec):
    """A parameter ages: by equal shares in equal times, or ever more slowly, with the logarithm of time."""

    kind: Literal["ageing"]

    factor: _Factor
    """Value at `to_s`, where it stays, over first value."""

    time_constant_s: _Lasting | None = None
    """With it, ageing goes with ln(1 + t / time_constant_s)."""

    @model_validator(mode="after")
    def _lasts(self) -> Self:
        if duration(self.to_s) == duration(self.from_s):
            raise ValueError("ageing needs time: to_s must be after from_s")
        return self

    def law(self, index: int) -> Law:
        """Return the law for the parameter at `index`."""
        begin, end = duration(self.from_s), duration(self.to_s)
        if self.time_constant_s is None:
            return Ageing(index, begin, end, self.factor)
        return Slowing(index, begin, end, duration(self.time_constant_s), self.factor)


class CycleSpec(_LawSpec):
    """A parameter swings about its value, as with the day's temperature."""

    kind: Literal["cycle"]

    from_s: _Since = 0.0
    """Begin [s]."""

    period_s: _Lasting
    """Period [s]."""

    amplitude: float = Field(gt=-1, lt=1)
    """Relative."""

    def law(self, index: int) -> Law:
        """Return the law for the parameter at `index`."""
        return Cycle(index, duration(self.from_s), duration(self.period_s), self.amplitude)


def _kind(given: Any) -> str:
    return str(given.get("kind", "ramp")) if isinstance(given, dict) else str(getattr(given, "kind", ""))


DriftSpec = Annotated[
    Annotated[RampSpec, Tag("ramp")]
    | Annotated[SaturatingSpec, Tag("saturating")]
    | Annotated[AgeingSpec, Tag("ageing")]
    | Annotated[CycleSpec, Tag("cycle")],
    Discriminator(_kind),
]
"""One of the laws, told apart by `kind`: `ramp` where it is not said."""
