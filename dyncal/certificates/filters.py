"""Correction filters and smoothers in certificates: written as a list of quantities, and read back."""

from __future__ import annotations

from dataclasses import fields
from typing import Final

import numpy as np

from dyncal.certificates import vocabulary as v
from dyncal.certificates.document import QuantityList
from dyncal.certificates.parameters import parameter_unit
from dyncal.certificates.quantity import AnyQuantity, Quantity, TextQuantity, real
from dyncal.certificates.search import number, single, with_ref_type
from dyncal.certificates.units import HERTZ, ONE, RADIAN, SECOND, Unit
from dyncal.domain.choices import choice
from dyncal.domain.coefficients import CoefficientSet, CorrectionFilter, CorrectionSmoother, MeasurandPrior
from dyncal.domain.errors import InvalidData
from dyncal.domain.samples import FloatArray
from dyncal.domain.time import NS_PER_S, DurationNs

_STATED: Final = {"dt_ns", "fir", "sos", "delay", "sensitivities", "u_noise", "u_model", "band_hz"}


def filter_list(coefficients: CoefficientSet, indication: Unit, measurand: Unit) -> QuantityList:
    """Return the filter of a set: FIR taps, sections and sensitivities, delay, interval, and its own uncertainties.

    Raises
    ------
    InvalidData
        If the filter has a part for which certificates have no words: better none than half a filter.
    """
    parts = [part.name for part in fields(coefficients.filter) if part.name not in _STATED]
    unsaid = [name for name in parts if getattr(coefficients.filter, name) is not None]
    if unsaid:
        raise InvalidData(f"set {coefficients.id}: a certificate cannot state {', '.join(unsaid)} of its filter")
    f, one = coefficients.filter, (str(ONE),)
    columns: list[AnyQuantity] = [
        TextQuantity("coefficient set", coefficients.id, (v.SET,)),
        real("sampling interval", f.dt_ns / NS_PER_S, SECOND, v.INTERVAL),
        real("delay in samples", f.delay, ONE, v.DELAY),
        real("upper end of the band", f.band_hz, HERTZ, v.BAND),
        real("noise after the filter", f.u_noise, measurand.difference, v.U_NOISE),
        real("error of the model", f.u_model, measurand.difference, v.U_MODEL),
        Quantity("FIR taps", f.fir, (str(measurand / indication),), (v.FIR,)),
    ]
    columns += [Quantity(f"section {k + 1}", row, one, (v.SECTION,)) for k, row in enumerate(f.sos)]
    names = coefficients.parameters.names
    for k, row in enumerate(f.sensitivities):
        name = names[k % len(names)]
        unit = str(ONE / parameter_unit(name, indication, measurand))
        columns.append(Quantity(f"sensitivity to {name}", row, (unit, unit, unit, *one * 2), (v.SENSITIVITY,)))
    return QuantityList("correction filter", tuple(columns), ref_types=(v.FILTER,))


def smoother_list(set_id: str, s: CorrectionSmoother, indication: Unit, measurand: Unit) -> QuantityList:
    """Return the smoother of a set: the measurand's process, the sensor's noise, latency and nominal interval."""
    density = measurand.difference**2 * SECOND
    columns: tuple[AnyQuantity, ...] = (
        TextQuantity("coefficient set", set_id, (v.SET,)),
        TextQuantity("measurand", s.prior.value, (v.PRIOR,)),
        real("nominal sampling interval", s.dt_ns / NS_PER_S, SECOND, v.INTERVAL),
        real("latency", s.latency_ns / NS_PER_S, SECOND, v.LATENCY),
        real("density of the measurand", s.density, density, v.DENSITY),
        real("corner of the measurand", s.corner_rad_s, RADIAN / SECOND, v.CORNER),
        real("order of the measurand", float(s.order), ONE, v.ORDER),
        real("noise of the sensor", s.noise_std, indication.difference, v.NOISE),
        real("upper end of the band", s.band_hz, HERTZ, v.BAND),
    )
    return QuantityList("fixed-lag smoother", columns, ref_types=(v.SMOOTHER,))


def read_smoother(entries: QuantityList) -> CorrectionSmoother:
    """Return the smoother of a list that `smoother_list` wrote. Raises `InvalidData`, naming what cannot be."""
    interval, latency = number(entries, v.INTERVAL, SECOND) * NS_PER_S, number(entries, v.LATENCY, SECOND) * NS_PER_S
    prior, order = single(entries, v.PRIOR, TextQuantity).text, number(entries, v.ORDER, ONE)
    if not (1 <= interval < 2**62 and 0 <= latency < 2**62 and order == round(order)):
        raise InvalidData(
            f"{entries.where}: a smoother with interval {interval} ns, latency {latency} ns, order {order}"
        )
    return CorrectionSmoother(
        dt_ns=DurationNs(round(interval)),
        latency_ns=DurationNs(round(latency)),
        prior=choice(MeasurandPrior, prior, "prior"),
        density=number(entries, v.DENSITY),
        corner_rad_s=number(entries, v.CORNER, RADIAN / SECOND),
        order=round(order),
        noise_std=number(entries, v.NOISE),
        band_hz=number(entries, v.BAND, HERTZ),
    )


def read_filter(entries: QuantityList) -> CorrectionFilter:
    """Return the filter of a list that `filter_list` wrote.

    Raises
    ------
    InvalidData
        Naming what is missing or cannot be.
    """
    interval = number(entries, v.INTERVAL, SECOND) * NS_PER_S
    delay = number(entries, v.DELAY, ONE)
    if not (1 <= interval < 2**62 and 0 <= delay < 2**31 and delay == round(delay)):
        raise InvalidData(f"{entries.where}: a filter with interval {interval} ns and delay {delay}")
    return CorrectionFilter(
        dt_ns=DurationNs(round(interval)),
        fir=single(entries, v.FIR, Quantity).checked().values,
        sos=_rows(entries, v.SECTION, 6),
        delay=round(delay),
        sensitivities=_rows(entries, v.SENSITIVITY, 5),
        u_noise=number(entries, v.U_NOISE),
        u_model=number(entries, v.U_MODEL),
        band_hz=number(entries, v.BAND, HERTZ),
    )


def _rows(entries: QuantityList, ref_type: str, n: int) -> FloatArray:
    rows = [q.checked() for q in with_ref_type(entries, ref_type, Quantity)]
    for row in rows:
        if len(row) != n:
            raise InvalidData(f"{row.who}: {len(row)} coefficients where {n} are meant")
    return np.array([row.values for row in rows], dtype=np.float64).reshape(len(rows), n)
