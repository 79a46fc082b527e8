"""The shapes of the HTTP API, made of docs/openapi.json by ``python -m tests.client_models``: do not edit.

Times are nanoseconds since 1970-01-01T00:00:00Z; names end in their units. What a newer service says beside these is
passed over.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec


class Shape(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What all have in common."""


class ActiveSetOut(Shape, frozen=True, kw_only=True):
    """The coefficient set that a sensor runs."""

    band_hz: float
    id: str
    latency_s: float
    sequence: int
    since_ns: int


class AlarmChangeOut(Shape, frozen=True, kw_only=True):
    """A change of an alarm."""

    acknowledged: bool
    acknowledged_by: str
    acknowledged_ns: int | None
    active: bool
    actor: str
    alarm_class: str
    annunciated: Annunciation
    annunciation: Annunciation
    at_ns: int
    cause: str
    changed_ns: int
    chattering: bool
    cleared_ns: int | None
    consequence: str
    event: AlarmEvent
    id: str
    kind: AlarmKind
    latched: bool
    limit: float | None
    n_comments: int
    n_raised: int
    number: int
    out_of_service: bool
    parameter: str
    priority: Priority
    raised_ns: int | None
    reason: str
    response: str
    scope: Scope
    sensor: str
    set_aside_by: str
    set_aside_ns: int | None
    set_aside_reason: str
    shelved_until_ns: int | None
    site: str
    source: str
    stale: bool
    state: AlarmState
    suppressed_by: list[str]
    trace: str
    u: float | None
    value: float | None


AlarmEvent: TypeAlias = str
"""What happened to an alarm."""


class AlarmHistoryPage(Shape, frozen=True, kw_only=True):
    """Changes of alarms, newest first."""

    history_from_ns: int | None
    items: list[AlarmChangeOut]
    next_cursor: str | None
    now_ns: int


AlarmKind: TypeAlias = str
"""What an alarm is about."""


class AlarmOut(Shape, frozen=True, kw_only=True):
    """An alarm as it stands, or stood after a change."""

    acknowledged: bool
    acknowledged_by: str
    acknowledged_ns: int | None
    active: bool
    alarm_class: str
    annunciation: Annunciation
    cause: str
    changed_ns: int
    chattering: bool
    cleared_ns: int | None
    consequence: str
    id: str
    kind: AlarmKind
    latched: bool
    limit: float | None
    n_comments: int
    n_raised: int
    number: int
    out_of_service: bool
    parameter: str
    priority: Priority
    raised_ns: int | None
    response: str
    scope: Scope
    sensor: str
    set_aside_by: str
    set_aside_ns: int | None
    set_aside_reason: str
    shelved_until_ns: int | None
    site: str
    source: str
    stale: bool
    state: AlarmState
    suppressed_by: list[str]
    trace: str
    u: float | None
    value: float | None


class AlarmPage(Shape, frozen=True, kw_only=True):
    """Alarms, last changed first."""

    flood: FloodOut | None
    items: list[AlarmOut]
    n_by_state: dict[str, int]
    n_to_acknowledge: dict[str, int]
    n_total: int
    next_cursor: str | None
    now_ns: int
    number: int


AlarmState: TypeAlias = str
"""States of the alarm life cycle, as they are shown (ISA-18.2, IEC 62682)."""


Annunciation: TypeAlias = str
"""How operators were told of what stands."""


Arrangement: TypeAlias = str
"""Which sensors come together: as many different edges as can be, or all of an edge, or of a reference, at once."""


class AttributionOut(Shape, frozen=True, kw_only=True):
    """What has changed, and the probabilities of each possibility; they add up to 1."""

    cause: Cause
    nothing: float
    process: float
    reference: float
    sensor: float


class AuditOut(Shape, frozen=True, kw_only=True):
    """One line of the audit trail."""

    action: str
    actor: str
    at_ns: int
    digest: str
    number: int
    reason: str
    subject: str


class AuditPage(Shape, frozen=True, kw_only=True):
    """Entries of the audit trail, oldest first."""

    items: list[AuditOut]
    next_cursor: str | None


class BodeOut(Shape, frozen=True, kw_only=True):
    """The frequency response of a sensor by one set of parameters; all arrays have one length."""

    at_ns: int
    f_hz: list[float]
    magnitude: list[float]
    phase_rad: list[float]
    source: str
    u_magnitude: list[float]
    u_phase_rad: list[float]
    what: str


class CalibrationOut(Shape, frozen=True, kw_only=True):
    """The result of one fit."""

    conformity: ConformityOut | None
    detail: str
    fitted_at_ns: int
    id: str
    method: str
    n_samples: int
    noise_std: float | None
    parameters: ParametersOut
    reduced_chi2: float | None
    reference: str
    sensor: str
    unobservable: list[str]
    verdict: Verdict
    whiteness_p: float | None
    window_from_ns: int
    window_to_ns: int


class CalibrationPage(Shape, frozen=True, kw_only=True):
    """Calibrations, newest first."""

    items: list[CalibrationOut]
    next_cursor: str | None


class CandidateList(Shape, frozen=True, kw_only=True):
    """Verified sets that wait, by sensor."""

    items: list[CandidateOut]


class CandidateOut(Shape, frozen=True, kw_only=True):
    """A verified set that waits, and its sensor."""

    edge: str | None
    model: ModelKind
    reference: str
    sensor: str
    sequence: int
    set_id: str
    since_ns: int


Cause: TypeAlias = str
"""What has changed where a pair of sensor and reference has."""


class CertificateOut(Shape, frozen=True, kw_only=True):
    """The laboratory calibration behind a sensor that nothing here calibrates."""

    calibrated_at_ns: int
    certificate: str
    id: str
    laboratory: str
    signature: Signature


class ChainOut(Shape, frozen=True, kw_only=True):
    """What the values of a set are traced to, link by link."""

    set_id: str
    steps: list[StepOut]


class ClockOut(Shape, frozen=True, kw_only=True):
    """How the clock of an edge stands, as the edge says (docs/clock.md)."""

    good: bool
    n_stamped: int
    offset_ns: int | None
    reference: str
    since_ns: int
    source: str
    state: str
    u_ns: int


class CommandBody(Shape, frozen=True, kw_only=True):
    """A command for one alarm."""

    command: str
    duration_s: float | None = None
    reason: str = ""
    rule: str = "manual"
    upto: int | None = None


class CommandOutcome(Shape, frozen=True, kw_only=True):
    """What a command did to one alarm."""

    alarm: AlarmOut | None
    detail: str
    done: bool
    id: str
    refusal: str


class CommandResult(Shape, frozen=True, kw_only=True):
    """What became of a command, alarm by alarm, in the order asked for."""

    actor: str
    at_ns: int
    n_done: int
    n_refused: int
    outcomes: list[CommandOutcome]


Conformance: TypeAlias = str
"""Outcome of a decision rule with guard bands (JCGM 106:2012, 8.3)."""


class ConformityOut(Shape, frozen=True, kw_only=True):
    """As found against as left, and the decision rule."""

    as_found: DeviationOut
    as_left: DeviationOut
    passed: bool
    raw: DeviationOut
    rule: str


class DecisionBody(Shape, frozen=True, kw_only=True):
    """Why a set that waits is approved or rejected."""

    reason: str


class DeviationOut(Shape, frozen=True, kw_only=True):
    """Deviation from the reference on data that the fit did not use, in the sensor's unit."""

    maximum: float | None
    n: int
    rms: float | None
    u: float | None


class DeviationsOut(Shape, frozen=True, kw_only=True):
    """Indications minus the reference over the end of the calibration's data, in the sensor's unit; columns."""

    as_found: list[float | None] | None
    as_left: list[float | None] | None
    raw: list[float | None]
    t_ns: list[int]


class EdgeList(Shape, frozen=True, kw_only=True):
    """Edges in order of name."""

    items: list[EdgeOut]


class EdgeOut(Shape, frozen=True, kw_only=True):
    """An edge as it last spoke."""

    clock: ClockOut | None
    edge: str
    n_sensors: int
    online: bool
    since_ns: int
    site: str
    u_clock_ns: int | None
    version: str


Failure: TypeAlias = str
"""What went wrong with a set: the edge refused it, or went back by itself; or its residual is too large."""


class FilterOut(Shape, frozen=True, kw_only=True):
    """The correction filter in figures; the coefficients themselves are in the signed envelope."""

    band_hz: float
    delay: int
    dt_ns: int
    latency_s: float
    n_sections: int
    n_taps: int
    noise_gain: float
    u_model: float
    u_noise: float


class FloodOut(Shape, frozen=True, kw_only=True):
    """A flood of alarms."""

    active: bool
    began_ns: int
    ended_ns: int | None
    n_alarms: int
    n_held_back: dict[str, int]


GapCause: TypeAlias = str
"""Why samples are missing."""


class GapList(Shape, frozen=True, kw_only=True):
    """A page of the gaps of one sensor."""

    items: list[GapOut]
    next_cursor: str | None = None
    sensor: str


class GapOut(Shape, frozen=True, kw_only=True):
    """An interval without samples, and why."""

    after_ns: int
    before_ns: int
    cause: GapCause
    n_lost: int | None


class HoldBody(Shape, frozen=True, kw_only=True):
    """Which samples must stay as they are, and why."""

    from_ns: int
    reason: str
    sensor: str | None = None
    to_ns: int | None = None


class HoldList(Shape, frozen=True, kw_only=True):
    """All holds in force, oldest first."""

    items: list[HoldOut]


class HoldOut(Shape, frozen=True, kw_only=True):
    """A hold in force."""

    from_ns: int
    id: str
    put_by: str
    put_ns: int
    reason: str
    sensor: str | None
    to_ns: int | None


class InventoryBody(Shape, frozen=True, kw_only=True):
    """All sensors with their pairings, in order of id."""

    items: list[InventoryRow]


class InventoryChange(Shape, frozen=True, kw_only=True):
    """What an import makes of one row that is not as it was."""

    id: str
    line: int
    pairing: str
    sensor: str


class InventoryReport(Shape, frozen=True, kw_only=True):
    """What an import did, or with `dry_run` would do."""

    changes: list[InventoryChange]
    dry_run: bool
    n_changed: int
    n_rows: int


class InventoryRow(Shape, frozen=True, kw_only=True):
    """A sensor, and its pairing where it has one."""

    dt_ns: int
    edge: str
    id: str
    label: str = ""
    pairing: PairingBody | None = None
    site: str
    unit: str


class JobBody(Shape, frozen=True, kw_only=True):
    """An interval of the store, and how to fit to it."""

    from_ns: int
    pairing: PairingBody | None = None
    reason: str = ""
    to_ns: int


class JobList(Shape, frozen=True, kw_only=True):
    """Jobs that are remembered, newest first."""

    items: list[JobOut]


class JobOut(Shape, frozen=True, kw_only=True):
    """A calibration on demand, as it stands."""

    actor: str
    asked_at_ns: int
    detail: str
    ended_at_ns: int | None
    from_ns: int
    id: str
    n_samples: int | None
    pairing: PairingBody
    reason: str
    result: CalibrationOut | None
    revision: int
    sensor: str
    share: float
    stage: Stage
    started_at_ns: int | None
    state: JobState
    to_ns: int


JobState: TypeAlias = str
"""Where a job stands; the last three are final."""


class LaboratoryOut(Shape, frozen=True, kw_only=True):
    """A laboratory calibration."""

    added_at_ns: int
    calibrated_at_ns: int
    certificate: str
    chi2: float | None
    detail: str
    dof: int
    f_hz: list[float]
    id: str
    laboratory: str
    magnitude: list[float]
    media_type: str
    p_value: float | None
    parameters: ParametersOut
    phase_rad: list[float]
    sensor: str
    sha256: str
    signature: Signature
    signature_detail: str
    signer: str
    u_magnitude: list[float]
    u_phase_rad: list[float]


class LaboratoryPage(Shape, frozen=True, kw_only=True):
    """Laboratory calibrations, newest first."""

    items: list[LaboratoryOut]
    next_cursor: str | None


class LatestOut(Shape, frozen=True, kw_only=True):
    """The newest values."""

    age_s: float | None
    corrected: float | None
    corrected_t_ns: int | None
    quality: int
    raw: float | None
    set_id: str | None
    t_ns: int | None
    u: float | None


class LifeOut(Shape, frozen=True, kw_only=True):
    """A set, the calibration that it came from (as found, as left, decision rule), its moves, its residual."""

    calibration: CalibrationOut | None
    can_go_back: bool
    moves: list[MoveOut]
    residual: ResidualOut | None
    set: SetOut
    waits: bool


class LifecycleOut(Shape, frozen=True, kw_only=True):
    """The sets of a sensor, newest first, and who releases them."""

    in_force: str | None
    items: list[LifeOut]
    policy: PolicyBody | None
    sensor: str


MeasurandPrior: TypeAlias = str
"""What a smoother takes the measurand for: a process of limited band about a level, or an integral of one."""


class MemberOut(Shape, frozen=True, kw_only=True):
    """One sensor of a rollout."""

    after: RolloutResidualOut | None
    applied_ns: int | None
    back_id: str | None
    before: RolloutResidualOut | None
    before_id: str
    changed_ns: int
    edge: str
    failure: Failure | None
    model: ModelKind
    position: int
    published_ns: int | None
    reason: str
    reference: str
    sensor: str
    set_id: str
    stage: int | None
    state: MemberState


class MemberPage(Shape, frozen=True, kw_only=True):
    """Sensors of a rollout, in the order in which they are taken."""

    items: list[MemberOut]
    next_cursor: str | None


MemberState: TypeAlias = str
"""Where one sensor of a rollout stands."""


ModelKind: TypeAlias = str
"""The kinds of sensor model (docs/metrology.md)."""


class MoveOut(Shape, frozen=True, kw_only=True):
    """One step in the life of a set."""

    actor: str
    at_ns: int
    before: SetState | None
    number: int
    reason: str
    set_id: str
    state: SetState


OrderKind: TypeAlias = str
"""What is asked for; the subject of those about sets is a set, of `SET_ROLL_BACK` a sensor, of others a rollout."""


class OrderOut(Shape, frozen=True, kw_only=True):
    """An order, and what became of it."""

    actor: str
    answer: str
    at_ns: int
    body: dict[str, Any]
    done_ns: int | None
    id: str
    kind: OrderKind
    reason: str
    result: str
    role: str
    state: OrderState
    subject: str


class OrderPage(Shape, frozen=True, kw_only=True):
    """Orders, last changed first."""

    items: list[OrderOut]
    next_cursor: str | None


OrderState: TypeAlias = str
"""Where an order stands; the last two are for good."""


class OutlookOut(Shape, frozen=True, kw_only=True):
    """When a parameter leaves its tolerance."""

    early_ns: int | None
    late_ns: int | None
    likely_ns: int | None
    parameter: str
    rate_per_day: float | None
    u_rate_per_day: float | None


class PairingBody(Shape, frozen=True, kw_only=True):
    """The reference of a sensor, and what is wished of its calibration."""

    band_hz: float | None = None
    dead_time: bool = False
    max_latency_s: float | None = None
    model: ModelKind
    n_poles: int | None = None
    n_zeros: int = 0
    reference: str
    tolerance: dict[str, float] = msgspec.field(default_factory=dict)
    u_clock_s: float = 0.0
    u_reference: float = 0.0
    u_reference_gain: float = 0.0
    u_reference_noise: float | None = None


class ParameterConformityOut(Shape, frozen=True, kw_only=True):
    """A parameter against its tolerance (JCGM 106); numbers are relative to the first calibration."""

    change: float | None
    p_within: float
    parameter: str
    tolerance: float
    u: float | None
    verdict: Conformance


class ParametersOut(Shape, frozen=True, kw_only=True):
    """Physical parameters in the units of their names, with covariance."""

    cov: list[list[float | None]]
    model: ModelKind
    names: list[str]
    u: list[float | None]
    values: list[float | None]


class PlanBody(Shape, frozen=True, kw_only=True):
    """How a rollout goes on, and when it does not."""

    abort_share: float = 0.02
    answer_s: float = 30.0
    arrangement: Arrangement = "spread"
    needs_residual: bool = True
    offline_s: float = 3600.0
    stages: list[StageBody] = msgspec.field(default_factory=list)
    success_share: float = 0.95
    worse_ratio: float = 2.0


class PolicyBody(Shape, frozen=True, kw_only=True):
    """Who releases the verified sets of a sensor."""

    max_parameter_change: dict[str, float] = msgspec.field(default_factory=dict)
    max_response_change: float | None = None
    mode: ReleaseMode
    shadow_s: float = 0.0


Priority: TypeAlias = str
"""Priority of an alarm: consequence and time to respond, not what is broken."""


ReleaseMode: TypeAlias = str
"""How a verified set comes to be published."""


class ReportOut(Shape, frozen=True, kw_only=True):
    """All that a report of a calibration says; null where there is nothing to say."""

    calibration: CalibrationOut
    certificate: CertificateOut | None
    deviations: DeviationsOut | None
    label: str | None
    response: list[BodeOut]
    set_before: SetOut | None
    set_made: SetOut | None
    unit: str | None
    written_at_ns: int


class ResidualOut(Shape, frozen=True, kw_only=True):
    """What the edge says of the residual of a set, since this service began to listen."""

    at_ns: int
    difference: float | None
    fault: str
    limit: float
    n: float
    rms: float
    shadow: bool


class RollBackBody(Shape, frozen=True, kw_only=True):
    """To which set a sensor goes back, and why."""

    reason: str
    to: str | None = None


class RolloutBody(Shape, frozen=True, kw_only=True):
    """A rollout to begin."""

    edges: list[str] = msgspec.field(default_factory=list)
    models: list[ModelKind] = msgspec.field(default_factory=list)
    plan: PlanBody = msgspec.field(default_factory=PlanBody)
    reason: str
    references: list[str] = msgspec.field(default_factory=list)
    sensors: list[str] = msgspec.field(default_factory=list)
    title: str = ""


class RolloutCommandBody(Shape, frozen=True, kw_only=True):
    """Why a rollout is to pause, go on, or be aborted."""

    reason: str


class RolloutHistoryPage(Shape, frozen=True, kw_only=True):
    """What happened in a rollout, newest first."""

    items: list[RolloutMoveOut]
    next_cursor: str | None


class RolloutMoveOut(Shape, frozen=True, kw_only=True):
    """One line of a rollout's history."""

    action: str
    actor: str
    at_ns: int
    number: int
    reason: str
    sensor: str | None


class RolloutOut(Shape, frozen=True, kw_only=True):
    """A rollout and how it stands."""

    actor: str
    begun_ns: int
    changed_ns: int
    ended_ns: int | None
    id: str
    n_failed: int
    n_left_out: int
    n_overtaken: int
    n_reverted: int
    n_sensors: int
    n_stuck: int
    n_touched: int
    n_waiting: int
    plan: PlanBody
    reason: str
    stage: int
    stage_ns: int
    stages: list[StageOut]
    state: RolloutState
    title: str


class RolloutPage(Shape, frozen=True, kw_only=True):
    """Rollouts, newest first."""

    items: list[RolloutOut]
    next_cursor: str | None


class RolloutResidualOut(Shape, frozen=True, kw_only=True):
    """What an edge has found of a set."""

    limit: float
    n: float
    rms: float


class RolloutResumeBody(Shape, frozen=True, kw_only=True):
    """Why a rollout is to go on."""

    accept: bool = False
    reason: str


RolloutState: TypeAlias = str
"""Where a rollout stands. It is over once completed or aborted."""


class SampleChainOut(Shape, frozen=True, kw_only=True):
    """What one corrected value is traced to."""

    chain: ChainOut
    moves: list[MoveOut]
    sample: TracedSampleOut
    sensor: str
    state: SetState
    unit: str


class SamplesOut(Shape, frozen=True, kw_only=True):
    """Rows in columns, oldest first."""

    aggregated: bool
    corrected: list[float | None]
    corrected_max: list[float | None] | None = None
    corrected_min: list[float | None] | None = None
    decimated: bool
    from_ns: int
    n: list[int] | None = None
    quality: list[int]
    raw: list[float | None]
    raw_max: list[float | None] | None = None
    raw_min: list[float | None] | None = None
    sensor: str
    set_index: list[int]
    sets: list[str]
    t_ns: list[int]
    to_ns: int
    u: list[float | None]
    unit: str
    width_ns: list[int] | None = None


Scope: TypeAlias = str
"""What the source of an alarm is."""


class SensorOut(Shape, frozen=True, kw_only=True):
    """A sensor and how it stands."""

    active_set: ActiveSetOut | None
    alarms: list[str]
    dt_ns: int
    edge: str
    edge_online: bool | None
    health: HealthHealthOut | None
    id: str
    label: str
    latest: LatestOut | None
    pairing: PairingBody | None
    reference_of: list[str]
    site: str
    stale_after_s: float
    state: SensorState
    state_detail: str
    state_since_ns: int | None
    unit: str


class SensorPage(Shape, frozen=True, kw_only=True):
    """A page of sensors."""

    items: list[SensorOut]
    n_total: int
    next_cursor: str | None
    now_ns: int


SensorState: TypeAlias = str
"""NE 107, and three of our own."""


class SetOut(Shape, frozen=True, kw_only=True):
    """A coefficient set and where it stands."""

    calibration_id: str
    changed_ns: int
    filter: FilterOut | None
    fitted_at_ns: int
    id: str
    n_samples: int
    note: str
    parameters: ParametersOut
    parent: str | None
    reason: str
    reference: str
    sensor: str
    sequence: int
    smoother: SmootherOut | None = None
    state: SetState
    valid_from_ns: int
    window_from_ns: int
    window_to_ns: int


class SetPage(Shape, frozen=True, kw_only=True):
    """Coefficient sets, newest sequence first within a sensor."""

    items: list[SetOut]
    next_cursor: str | None


SetState: TypeAlias = str
"""Life cycle of a set."""


Signature: TypeAlias = str
"""What is known of the signature of a file when it came."""


class SmootherOut(Shape, frozen=True, kw_only=True):
    """The fixed-lag smoother of a set."""

    band_hz: float
    corner_hz: float
    density: float
    dt_ns: int
    latency_s: float
    noise_std: float
    order: int
    prior: MeasurandPrior


Stage: TypeAlias = str
"""What a running job is at."""


class StageBody(Shape, frozen=True, kw_only=True):
    """One step of a rollout."""

    share: float
    soak_s: float


class StageOut(Shape, frozen=True, kw_only=True):
    """How a stage stands."""

    n_applied: int
    n_failed: int
    n_normal: int
    n_reverted: int
    n_reverting: int
    n_touched: int
    share: float
    soak_s: float
    target: int


class StepOut(Shape, frozen=True, kw_only=True):
    """One link."""

    calibration: CalibrationOut | None
    certificate: CertificateOut | None = None
    key_id: str
    label: str
    reference: str | None
    sensor: str
    set_id: str
    sha256: str
    u_clock_s: float | None
    u_reference: float | None
    u_reference_gain: float | None
    unit: str


class TracedSampleOut(Shape, frozen=True, kw_only=True):
    """One corrected value, and what made it."""

    corrected: float | None
    quality: int
    raw: float | None
    set_id: str
    t_ns: int
    u: float | None


Verdict: TypeAlias = str
"""What a fit is worth."""


Watch: TypeAlias = str
"""What the watch for drift can say."""


class HealthHealthOut(Shape, frozen=True, kw_only=True):
    """What calibration said last of a sensor."""

    at_ns: int
    attribution: AttributionOut | None
    change: float | None
    conformity: list[ParameterConformityOut]
    holds_until_ns: int
    informed_ns: int | None
    outlook: list[OutlookOut]
    parameter: str
    reason: str
    since_ns: int
    u_change: float | None
    watch: Watch
