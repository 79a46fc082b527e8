"""For the console's page of one sensor: Bode plot, parameter history, budget, traceability. Read only."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from dyncal.domain.access import Role
from dyncal.domain.calibration import Calibration, Verdict, is_baseline
from dyncal.domain.coefficients import Parameters
from dyncal.domain.errors import NotFound
from dyncal.domain.laboratory import LaboratoryCalibration
from dyncal.domain.samples import SampleSeries
from dyncal.domain.sensors import DEFAULT_TOLERANCE, Sensor, SensorId
from dyncal.domain.time import InstantNs
from dyncal.ports.records import SetRecord
from services.api import findings
from services.api.access.scope import Reader, theirs
from services.api.deps import Deps, DepsOf, needs
from services.api.schemas.base import number
from services.api.schemas.calibrations import CalibrationOut
from services.api.schemas.findings import (
    BodeOut,
    BudgetLineOut,
    BudgetOut,
    ChainOut,
    ParameterHistoryOut,
    ResponseOut,
    StepOut,
)
from services.api.schemas.laboratory import CertificateOut

router = APIRouter(prefix="/v1", tags=["console"])

READS = [needs(Role.VIEWER)]

Points = Annotated[int, Query(ge=10, le=1000, description="Frequencies.")]
BUDGET_SAMPLES = 600


@router.get("/sensors/{sensor}/response", dependencies=READS)
def response(sensor: str, deps: DepsOf, points: Points = 120) -> ResponseOut:
    """Return the frequency response now, at the last calibration, at that of the tolerances, and by certificate."""
    known = deps.catalogue.get().sensor(sensor)
    active = _active(deps, known.id)
    calibrations = _accepted(deps, known.id, 200)
    sources: list[tuple[str, str, InstantNs, Parameters]] = []
    if active is not None:
        c = active.coefficients
        sources.append(("now", c.id, c.provenance.fitted_at_ns, c.parameters))
    if calibrations:
        last = calibrations[-1]
        sources.append(("last_calibration", last.id, last.fitted_at_ns, last.parameters))
    baseline = _baseline(calibrations)
    if baseline is not None and (not calibrations or baseline is not calibrations[-1]):
        sources.append(("baseline", baseline.id, baseline.fitted_at_ns, baseline.parameters))
    certificates = deps.registry.laboratories(known.id, limit=1)
    sources += [("certificate", each.id, each.calibrated_ns, each.parameters) for each in certificates]
    band_hz = None if active is None else active.coefficients.correction.band_hz
    if not sources:
        return ResponseOut(sensor=known.id, curves=[], band_hz=band_hz)
    f_hz = findings.frequencies(sources[0][3], known.dt_ns, points)
    curves = [BodeOut.of(what, source, at_ns, findings.bode(p, f_hz)) for what, source, at_ns, p in sources]
    return ResponseOut(sensor=known.id, curves=curves, band_hz=band_hz)


@router.get("/sensors/{sensor}/parameter-history", dependencies=READS)
def parameter_history(
    sensor: str, deps: DepsOf, limit: Annotated[int, Query(ge=1, le=1000)] = 200
) -> ParameterHistoryOut:
    """Return the parameters of the newest `limit` calibrations, as far as they were accepted, and their tolerance."""
    catalogue = deps.catalogue.get()
    known = catalogue.sensor(sensor)
    read = deps.registry.calibrations(known.id, limit=limit)
    kept = _of_newest_model([each for each in reversed(read) if each.verdict is Verdict.ACCEPTED])
    names = kept[-1].parameters.names if kept else ()
    baseline = _baseline(kept)
    pairing = catalogue.pairings.get(known.id)
    tolerance = {} if pairing is None else pairing.tolerance
    return ParameterHistoryOut(
        sensor=known.id,
        names=list(names),
        calibration=[each.id for each in kept],
        fitted_at_ns=[each.fitted_at_ns for each in kept],
        values=[[number(value) for value in each.parameters.values.tolist()] for each in kept],
        u=[[number(value) for value in each.parameters.u.tolist()] for each in kept],
        whiteness_p=[number(each.whiteness_p) for each in kept],
        reduced_chi2=[number(each.reduced_chi2) for each in kept],
        noise_std=[number(each.noise_std) for each in kept],
        baseline=None if baseline is None else baseline.id,
        baseline_values=None if baseline is None else [number(v) for v in baseline.parameters.values.tolist()],
        tolerance=[tolerance.get(name, DEFAULT_TOLERANCE) for name in names],
        truncated=len(read) == limit,
    )


@router.get("/sensors/{sensor}/budget", dependencies=READS)
def budget(sensor: str, deps: DepsOf) -> BudgetOut:
    """Return the uncertainty budget of the newest corrected values of a sensor."""
    known = deps.catalogue.get().sensor(sensor)
    active = _active(deps, known.id)
    if active is None:
        raise NotFound(f"sensor {known.id} has no active coefficient set: there is nothing to state a budget for")
    latest = deps.hub.latest(known.id)
    end = deps.clock.now() if latest is None or latest.raw_t_ns < 0 else latest.raw_t_ns
    n = BUDGET_SAMPLES + 3 * active.coefficients.correction.delay
    start = InstantNs(max(end - n * known.dt_ns, 0))
    series = deps.store.read(known.id, start, InstantNs(end + 1), max_points=None)
    lines, u, n_values = findings.budget_lines(active, series)
    shown = [BudgetLineOut(name=line.name, u=line.u, counts=":" not in line.name) for line in lines]
    behind = _certificate_line(deps, active, series)
    return BudgetOut(
        sensor=known.id,
        set_id=active.coefficients.id,
        unit=known.unit,
        u=u,
        n=n_values,
        from_ns=start,
        to_ns=end,
        lines=shown if behind is None else [*shown, behind],
    )


def _certificate_line(deps: Deps, active: SetRecord, series: SampleSeries) -> BudgetLineOut | None:
    """Return what the reference's certificate adds: a part of the parameters' lines, not a term beside them."""
    origin = active.coefficients.provenance
    pairing = deps.catalogue.get().pairings.get(active.coefficients.sensor)
    certificates = deps.registry.laboratories(origin.reference, limit=1)
    if pairing is None or pairing.reference != origin.reference or not certificates:
        return None
    u = findings.u_of_reference(pairing, series)
    return BudgetLineOut(name=f"certificate:{certificates[0].certificate}", u=u, counts=False) if u > 0 else None


@router.get("/coefficient-sets/{set_id}/chain")
def chain(set_id: str, deps: DepsOf, reader: Reader) -> ChainOut:
    """Return what a set is traced to: calibration, reference, what corrects the reference, and so on."""
    record = theirs(
        reader,
        deps.catalogue.get(),
        lambda: deps.registry.coefficient_set(set_id[:255]),
        lambda found: found.coefficients.sensor,
    )
    return chain_of(record, deps)


def chain_of(record: SetRecord, deps: Deps) -> ChainOut:
    """Return what a set is traced to."""
    sensors = deps.catalogue.get().sensors
    steps = findings.chain(deps.registry, record)
    return ChainOut(
        set_id=record.coefficients.id,
        steps=[_step(step, sensors.get(step.sensor), _certificates(deps, step)) for step in steps],
    )


def _certificates(deps: Deps, step: findings.Step) -> list[LaboratoryCalibration]:
    """Return the certificate that a sensor had when what it showed was used: a later one says nothing of that."""
    return deps.registry.laboratories(step.sensor, before=(step.at_ns + 1, ""), limit=1)


def _step(step: findings.Step, sensor: Sensor | None, certificates: list[LaboratoryCalibration]) -> StepOut:
    return StepOut(
        sensor=step.sensor,
        label="" if sensor is None else sensor.label,
        unit="" if sensor is None else sensor.unit,
        set_id=step.set_id,
        key_id=step.key_id,
        sha256=step.sha256,
        calibration=None if step.calibration is None else CalibrationOut.of(step.calibration),
        reference=step.reference,
        u_reference=step.u_reference,
        u_reference_gain=step.u_reference_gain,
        u_clock_s=step.u_clock_s,
        certificate=CertificateOut.of(certificates[0]) if certificates else None,
    )


def _active(deps: Deps, sensor: SensorId) -> SetRecord | None:
    found = deps.catalogue.get().active.get(sensor)
    return None if found is None else deps.registry.coefficient_set(found.id)


def _accepted(deps: Deps, sensor: SensorId, limit: int) -> list[Calibration]:
    """Return the accepted ones of the newest `limit` calibrations, oldest first."""
    read = deps.registry.calibrations(sensor, limit=limit)
    return [each for each in reversed(read) if each.verdict is Verdict.ACCEPTED]


def _of_newest_model(calibrations: list[Calibration]) -> list[Calibration]:
    names = calibrations[-1].parameters.names if calibrations else ()
    return [each for each in calibrations if each.parameters.names == names]


def _baseline(calibrations: list[Calibration]) -> Calibration | None:
    return next((each for each in reversed(calibrations) if is_baseline(each.id)), None)
