"""Settings of what the edge agent reads: sensors, OPC UA servers, devices on MQTT."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from dyncal.domain.sensors import MAX_POLES, ModelKind
from dyncal.runtime.settings import BrokerSettings, Name, Section, read_secret
from edge_agent.readers.addresses import parse, parse_pattern

MAX_S: Final = 1e9
"""Longest time that a setting may say [s]: in nanoseconds it still fits 64 bits, added to any instant."""


def _node(text: str) -> str:
    parse(text, None)
    return text


def _pattern(text: str) -> str:
    parse_pattern(text, None)
    return text


def _filter(text: str) -> str:
    levels = text.split("/")
    if not text or len(text.encode()) > 65_535 or "\0" in text:
        raise ValueError("expected an MQTT topic filter such as 'devices/+/value'")
    if any(("+" in level or "#" in level) and level not in ("+", "#") for level in levels) or "#" in levels[:-1]:
        raise ValueError("'+' must fill a level of the topic filter, '#' the last one")
    return text


class SensorSettings(Section):
    """A sensor: its unit and interval, and its reference where it has one."""

    sensor: Name
    """Id of the sensor, unique in the site, such as `TT-101`."""

    unit: str = Field(min_length=1, max_length=32)
    """Unit of its indications as UCUM or D-SI writes it, such as `Cel` or `m/s2`."""

    dt_s: float = Field(gt=0, le=86_400)
    """Nominal sampling interval [s], such as `0.1`."""

    label: str = Field("", max_length=200)
    """For people."""

    reference: Name | None = None
    """Id of the sensor that is its reference; with `model`."""

    model: ModelKind | None = None
    """Kind of model to identify, such as `first_order`; with `reference`."""

    u_reference: float = Field(0.0, ge=0, allow_inf_nan=False)
    """Standard uncertainty of the reference's indications by its certificate, in the sensor's unit."""

    u_reference_gain: float = Field(0.0, ge=0, allow_inf_nan=False)
    """Relative standard uncertainty of the reference's gain by its certificate."""

    u_clock_s: float = Field(0.0, ge=0, allow_inf_nan=False)
    """Standard uncertainty of the clock offset between sensor and reference [s]."""

    band_hz: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Bandwidth wished of the correction [Hz]; chosen from the measurand's spectrum if absent."""

    max_latency_s: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Longest latency allowed for the correction [s]; chosen by the design if absent."""

    tolerance: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] = Field(default_factory=dict)
    """Relative tolerance by parameter, such as `{ tau_s = 0.1 }`."""

    u_reference_noise: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Standard deviation of the reference's own white noise, in the sensor's unit; estimated if absent, which costs
    a hundred times the work. A stated one below 0.3 of the sensor's own noise is taken as negligible."""

    dead_time: bool = False
    """Whether the sensor has a dead time besides, identified as `delay_s`."""

    n_poles: int | None = Field(None, ge=1, le=MAX_POLES)
    """Poles of a `rational` model."""

    n_zeros: int = Field(0, ge=0, le=MAX_POLES)
    """Zeros of a `rational` model."""

    u_t_s: float = Field(0.0, ge=0, le=60)
    """Standard uncertainty of the sensor's time stamps [s]."""

    gap_after_s: float | None = Field(None, gt=0, le=MAX_S)
    """Interval between two samples from which on some are missing [s]; default 1.5 `dt_s`, and 2.5 `dt_s`
    where the time of arrival counts."""

    silent_after_s: float | None = Field(None, gt=0, le=MAX_S)
    """Silence after which an event says so [s]; default 20 `dt_s`, but at least 5 s."""

    def longest_interval_s(self, intervals: float = 1.5) -> float:
        """Return the longest interval between two samples with none missing, `intervals` of `dt_s` if not set [s]."""
        return self.gap_after_s if self.gap_after_s is not None else intervals * self.dt_s

    @model_validator(mode="after")
    def _paired(self) -> Self:
        if (self.reference is None) != (self.model is None):
            raise ValueError(f"sensor {self.sensor}: reference and model go together; give both or neither")
        if self.reference == self.sensor:
            raise ValueError(f"sensor {self.sensor} cannot be its own reference")
        return self


class NodeSettings(SensorSettings):
    """A sensor that is a node of an OPC UA server: a number, or an array of numbers that is read as a block."""

    node: Annotated[str, AfterValidator(_node)]
    """Node id such as `ns=2;s=TT101` or `nsu=urn:plant;s=TT101`, or browse path from the root such as
    `/Objects/2:Plant/2:TT101`; in place of an index may stand a name from `namespaces`."""

    sampling_s: float | None = Field(None, ge=0)
    """Sampling interval asked of the server [s]; default `dt_s`, and 0 (as fast as it is) for arrays.

    A server that samples by a timer of its own passes over values that come as often: where gaps of one sample are
    recorded, ask for half of `dt_s`, if its source time stamps are those of the values and not of its timer."""

    queue_size: int | None = Field(None, ge=1, le=1_000_000)
    """Queue asked of the server; default what comes in 30 s, or in ten longer publishing intervals."""

    array: bool = False
    """Whether the value is an array: its last element is of the source time stamp, the others `dt_s` apart before."""


class BrowseSettings(Section):
    """Sensors that are found on a server by a pattern; each is declared in `edge.sensors`, the others are passed over.

    A variable that comes to fit later is found within a minute.
    """

    path: Annotated[str, AfterValidator(_pattern)]
    """Pattern of browse paths from the root, such as `/Objects/2:Plant/**/2:TT*`: `*`, `?` and `[]` in names as in file
    names, `**` for any number of levels; a name without a namespace is of any."""

    sensor: str = Field("{name}", pattern=r"^([A-Za-z0-9_.-]|\{name\}|\{parent\})+$", max_length=200)
    """Id of the sensor that a variable is of: `{name}` is its browse name, `{parent}` that of what it is in."""

    array: bool = False
    """As of nodes."""

    sampling_s: float | None = Field(None, ge=0)
    """As of nodes."""

    queue_size: int | None = Field(None, ge=1, le=1_000_000)
    """As of nodes."""


class ServerSettings(Section):
    """An OPC UA server, and how to connect to it."""

    url: str = Field(pattern=r"^opc\.tcp://.+")
    """Address, such as `opc.tcp://192.0.2.10:4840/server`."""

    security_policy: Literal[
        "None", "Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss", "Basic256", "Basic128Rsa15"
    ] = "None"
    """Security policy; the last two are deprecated, and need `allow_insecure`."""

    security_mode: Literal["None", "Sign", "SignAndEncrypt"] = "None"
    """Message security mode; `None` exactly where the policy is `None`."""

    allow_insecure: bool = False
    """Whether a deprecated policy, or a password that can be read on the way, is put up with."""

    certificate_file: Path | None = None
    """Our certificate (DER or PEM), with `private_key_file`; one is made below `data_dir` if absent."""

    private_key_file: Path | None = None
    """Our private key (PEM)."""

    server_certificate_file: Path | None = None
    """The one certificate that the server may have; by the trust list below `data_dir` if absent."""

    user_certificate_file: Path | None = None
    """Certificate to log in with (DER or PEM), with `user_key_file`; in place of `username`."""

    user_key_file: Path | None = None
    """Private key of the user's certificate (PEM)."""

    username: str | None = None
    """User name; anonymous if absent."""

    password: SecretStr | None = None
    """Password; better given by `password_file`."""

    password_file: Path | None = None
    """File that holds the password, and nothing else."""

    timeout_s: float = Field(5.0, gt=0, le=60)
    """Longest wait for an answer [s]."""

    def resolved_password(self) -> str | None:
        """Return the password from the file or the setting. Raises `InvalidSetting` if the file cannot be read."""
        return read_secret(self.password_file, self.password, "edge.opcua.password_file")

    @model_validator(mode="after")
    def _secured(self) -> Self:
        if (self.security_policy == "None") != (self.security_mode == "None"):
            raise ValueError("security_policy and security_mode must both be 'None' or both not")
        if self.security_policy in ("Basic256", "Basic128Rsa15") and not self.allow_insecure:
            raise ValueError(f"security_policy {self.security_policy!r} is deprecated; allow_insecure = true allows it")
        for one, other in (("certificate_file", "private_key_file"), ("user_certificate_file", "user_key_file")):
            if (getattr(self, one) is None) != (getattr(self, other) is None):
                raise ValueError(f"{one} and {other} go together; give both or neither")
        if self.username is not None and self.user_certificate_file is not None:
            raise ValueError("username and user_certificate_file are two identities; give one")
        return self


class OpcuaSettings(ServerSettings):
    """What is read of an OPC UA server."""

    namespaces: dict[str, str] = Field(default_factory=dict)
    """Names for URIs of namespaces, such as `{ line1 = "urn:plant:line1" }`, to be used where an index may change."""

    publishing_s: float = Field(0.1, gt=0, le=60)
    """Publishing interval asked of the server [s]."""

    nodes: list[NodeSettings] = Field(default_factory=list)
    """Sensors."""

    browse: list[BrowseSettings] = Field(default_factory=list)
    """Sensors by pattern."""

    @model_validator(mode="after")
    def _addressed(self) -> Self:
        if not self.nodes and not self.browse:
            raise ValueError("give nodes, or browse, or both")
        for browse in self.browse:
            try:
                parse_pattern(browse.path, self.namespaces)
            except ValueError as error:
                raise ValueError(f"path = {browse.path!r}: {error}") from error
        for node in self.nodes:
            try:
                parse(node.node, self.namespaces)
            except ValueError as error:
                raise ValueError(f"node = {node.node!r} of sensor {node.sensor}: {error}") from error
        return self


class MappingSettings(Section):
    """How messages of devices become samples of a sensor.

    Places are JSON pointers (``/data/0/value``) for JSON and MessagePack, column numbers from 0 for CSV. A place that
    holds an array makes a block: an array of times beside it, or the one time is that of the first value and the
    others follow `dt_s` apart (`time_is` may say that it is that of the last).
    """

    topic: Annotated[str, AfterValidator(_filter)]
    """Topic filter, such as `devices/+/value`."""

    sensor: Name | None = None
    """Id of the sensor; or `sensor_level`."""

    sensor_level: int | None = Field(None, ge=0, le=127)
    """Level of the topic, counted from 0, that is the sensor's id; such sensors are declared in `edge.sensors`."""

    format: Literal["json", "msgpack", "csv", "number"] = "json"
    """What the payload is."""

    rows_at: str | None = None
    """Pointer to an array of objects, each with the places below; `""` where the payload itself is one."""

    value_at: str = "/value"
    """Place of the value or array of values."""

    time_at: str | None = None
    """Place of the source time or array of times; without it the time of arrival counts."""

    time_format: Literal["iso", "s", "ms", "us", "ns", "arrival"] = "iso"
    """`iso`: ISO 8601 with zone; `s`, `ms`, `us`, `ns`: number since 1970; `arrival`: ignore what is there."""

    time_is: Literal["first", "last"] = "first"
    """Of which value of an array the one time is."""

    quality_at: str | None = None
    """Place of the quality: true/false, an OPC UA status code, or good, uncertain, bad."""

    unit_at: str | None = None
    """Place of the unit; a message in another unit than the sensor's is refused."""

    delimiter: str = Field(",", min_length=1, max_length=1)
    """What separates the columns of CSV."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.sensor is None) == (self.sensor_level is None):
            raise ValueError("give either sensor or sensor_level")
        for key in ("value_at", "time_at", "quality_at", "unit_at", "rows_at"):
            place = getattr(self, key)
            if place is not None:
                self._check_place(key, place)
        return self

    def _check_place(self, key: str, place: str) -> None:
        if self.format == "csv" and key != "rows_at" and not place.isdecimal():
            raise ValueError(f"{key} = {place!r}: expected a column number from 0 for csv")
        if self.format in ("json", "msgpack") and place and not place.startswith("/"):
            raise ValueError(f"{key} = {place!r}: expected a JSON pointer such as '/value'")


class MqttSensorMapping(MappingSettings):
    """A mapping that may declare its sensor on the spot."""

    unit: str | None = Field(None, min_length=1, max_length=32)
    """Unit, to declare the sensor here rather than in `edge.sensors`; with `dt_s`."""

    dt_s: float | None = Field(None, gt=0, le=86_400)
    """Nominal sampling interval [s], to declare the sensor here; with `unit`."""

    label: str = Field("", max_length=200)
    """For people."""

    reference: Name | None = None
    """As in `edge.sensors`."""

    model: ModelKind | None = None
    """As in `edge.sensors`."""

    u_reference: float = Field(0.0, ge=0, allow_inf_nan=False)
    """As in `edge.sensors`."""

    @model_validator(mode="after")
    def _declared(self) -> Self:
        if (self.unit is None) != (self.dt_s is None):
            raise ValueError("unit and dt_s declare a sensor together; give both or neither")
        if self.unit is not None and self.sensor is None:
            raise ValueError("only a mapping with a fixed sensor can declare it; use edge.sensors")
        if self.unit is None and (self.reference is not None or self.model is not None or self.label):
            raise ValueError("label, reference and model need unit and dt_s beside them")
        self.declaration()
        return self

    def declaration(self) -> SensorSettings | None:
        """Return the sensor that the mapping declares, if it does."""
        if self.unit is None or self.dt_s is None or self.sensor is None:
            return None
        return SensorSettings(
            sensor=self.sensor,
            unit=self.unit,
            dt_s=self.dt_s,
            label=self.label,
            reference=self.reference,
            model=self.model,
            u_reference=self.u_reference,
        )


class MqttSourceSettings(Section):
    """Devices on MQTT."""

    broker: BrokerSettings | None = None
    """Their broker; the program's own if absent."""

    mappings: list[MqttSensorMapping] = Field(min_length=1)
    """How messages become samples."""
