"""Settings of the calibration service: section ``[calibrate]``."""

from __future__ import annotations

from pydantic import Field, field_validator

from dyncal.domain.lifecycle import ReleaseMode
from dyncal.runtime.settings import LIVE, ProgramSettings, RegistrySettings, Section, SigningSettings, StoreSettings


class CalibrateSection(Section):
    """How sensors are calibrated, and when that becomes a new coefficient set."""

    max_u_response: float = Field(0.05, gt=0, le=1)
    """Largest relative standard uncertainty of the sensor's response, over the band, with which a first set is made."""

    min_change: float = Field(0.01, ge=0, le=1)
    """Smallest relative change of the response over the band that is worth a new set, where it is significant."""

    min_interval_s: float = Field(20.0, gt=0)
    """Shortest time between two sets of a sensor [s]; doubled with every candidate that is rejected."""

    moving_interval_s: float = Field(2.0, gt=0)
    """The same while the response is off by more than twice `min_change` [s]: so sets follow a drift."""

    release: ReleaseMode = ReleaseMode.AUTOMATIC
    """Who releases the verified sets of sensors without a policy of their own: `automatic` or `approval`."""

    waiting_interval_s: float = Field(300.0, gt=0)
    """Shortest time between two sets of a sensor while one waits to be released [s]."""

    offer_s: float = Field(7 * 86_400.0, gt=0)
    """Time within which an edge may begin to apply a set [s]; what runs goes on, and what came too late is renewed."""

    review_s: float = Field(1.0, gt=0)
    """Interval at which a sensor with a set is reviewed [s] of its own data."""

    spectrum_s: float = Field(30.0, gt=0)
    """Interval at which the measurand's spectrum is compared with that of the set in force [s] of data."""

    held_out_s: float = Field(0.5, gt=0)
    """Least time of data that a candidate is judged on [s]: data that its fit did not see."""

    held_out_samples: int = Field(64, ge=16, le=4096)
    """Least number of samples that a candidate is judged on."""

    reference_timeout_s: float = Field(5.0, gt=0)
    """Time without one usable pair of sensor and reference after which the reference counts as lost [s]."""

    patience_s: float = Field(2.0, ge=0)
    """Time of data for which a block that is missing is waited for, before the record is cut there [s]."""

    max_ahead_s: float = Field(60.0, gt=0)
    """A record from further in the future than this is refused [s]."""

    arl0_blocks: float = Field(100_000.0, ge=10, le=1e9)
    """Mean number of informative blocks between two false drift alarms of a sensor."""

    drift_share: float = Field(0.5, gt=0, le=1)
    """Share of its tolerance from which a change of a parameter counts as drift, where it is significant."""

    idle_after_s: float = Field(600.0, gt=0)
    """Time without a block that says anything after which nothing can be told of a sensor [s]; longer for slow ones."""

    snapshot_s: float = Field(30.0, gt=0)
    """Interval between snapshots of the estimators [s]."""

    health_s: float = Field(60.0, gt=0)
    """Interval at which it is said how each sensor stands [s]; changes are said at once. It holds for three."""

    poll_s: float = Field(1.0, gt=0, le=60, json_schema_extra=LIVE)
    """Interval at which the registry is asked for changed pairings [s]."""

    max_catch_up_s: float = Field(3600.0, ge=0)
    """Longest absence that is made up for from the time-series store at start [s]."""

    orders_poll_s: float = Field(0.25, gt=0, le=60, json_schema_extra=LIVE)
    """Interval at which the registry is asked for orders that people gave [s]."""

    max_behind_s: float = Field(15.0, gt=0)
    """Time for which samples may come faster than they are dealt with [s]; then those that wait are passed over, which
    is told, and it goes on with what comes."""

    queue_size: int = Field(65_536, ge=1)
    """Blocks of samples that may wait, 64 MiB of them at most; when more come, those that wait are passed over, which
    is told. What comes from an edge's spool is kept, and then waits in the broker."""

    metrics_port: int | None = Field(None, ge=1, le=65535)
    """Port for Prometheus; none where not given."""

    metrics_host: str = "127.0.0.1"
    """Address at which Prometheus metrics are served."""

    @field_validator("release")
    @classmethod
    def _needs_no_bounds(cls, value: ReleaseMode) -> ReleaseMode:
        if value is ReleaseMode.WITHIN_BOUNDS:
            raise ValueError("bounds are of one sensor: put its policy over HTTP")
        return value


class CalibrateSettings(ProgramSettings):
    """Everything that the calibration service reads."""

    store: StoreSettings = StoreSettings()
    registry: RegistrySettings = RegistrySettings()
    signing: SigningSettings = SigningSettings()
    calibrate: CalibrateSection = CalibrateSection()
