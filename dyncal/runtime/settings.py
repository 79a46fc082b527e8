"""Settings: one TOML file for all programs, the environment above it, and errors that say where and what.

The file has sections that several programs share (``[broker]``, ``[store]``, …) and one for each program (``[edge]``,
``[ingest]``, …). A program reads its own and the shared ones; a section that no program knows is an error. A key can
be given in the environment instead: ``DYNCAL_BROKER__PORT=8883`` is ``port`` in ``[broker]``.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar
from urllib.parse import quote

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from dyncal.domain.errors import InvalidData, InvalidSetting
from dyncal.domain.sensors import check_name
from dyncal.runtime.faults import ENV_DELIMITER, ENV_PREFIX, describe

SECTIONS: Final = frozenset(
    {"site", "data_dir", "log", "trace", "broker", "store", "registry", "signing"}
    | {"edge", "ingest", "calibrate", "api", "embedded"}
)

MARK: Final = "x-reload"
LIVE: Final[dict[str, Any]] = {MARK: "live"}
"""Of a field (``json_schema_extra``): its change is followed while the program runs (`dyncal.runtime.reload`)."""

S = TypeVar("S", bound="ProgramSettings")


def _name(text: str) -> str:
    try:
        return check_name("this", text)
    except InvalidData as error:
        raise ValueError(str(error)) from error


Name = Annotated[str, AfterValidator(_name)]
"""A site, edge or sensor name."""


class Section(BaseModel):
    """A section of the file: frozen, and without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class LogSettings(Section):
    """What is logged, and how."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", json_schema_extra=LIVE)
    """Least severity that is written."""

    format: Literal["console", "json"] = "console"
    """`console` for people, `json` for collectors: one object a line."""


class TraceSettings(Section):
    """Which blocks are followed through the programs, in their logs and to an OpenTelemetry collector."""

    one_in: int = Field(1000, ge=0)
    """Of so many blocks of a sensor one is followed; 1 follows all, 0 none. The same in all programs."""

    otlp: str | None = Field(None, pattern=r"^https?://[^\s@]+$")
    """Where spans go, by OTLP over HTTP, as `http://127.0.0.1:4318/v1/traces`; else nowhere. Needs the extra `otel`."""

    export_s: float = Field(5.0, ge=0.05, le=60)
    """Interval at which they are sent [s]."""


class BrokerSettings(Section):
    """The MQTT broker."""

    host: str = "127.0.0.1"
    """Host name or address."""

    port: int = Field(1883, ge=1, le=65535)
    """TCP port; 8883 is usual with TLS."""

    username: str | None = None
    """User name, where the broker asks for one."""

    password: SecretStr | None = None
    """Password; better given by `password_file` or DYNCAL_BROKER__PASSWORD."""

    password_file: Path | None = None
    """File that holds the password, and nothing else; read for each connection, as are the files below."""

    ca_file: Path | None = None
    """PEM file of the authorities that may have signed the broker's certificate; turns TLS on."""

    cert_file: Path | None = None
    """PEM file of our own certificate, for mutual TLS."""

    key_file: Path | None = None
    """PEM file of our own private key."""

    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    """MQTT version; `auto` begins with 5 and falls back to 3.1.1 where the broker does not know it."""

    keepalive_s: int = Field(15, ge=5, le=600)
    """Interval after which a silent connection counts as dead [s]."""

    def resolved_password(self) -> str | None:
        """Return the password from the file or the setting. Raises `InvalidSetting` if the file cannot be read."""
        return read_secret(self.password_file, self.password, "broker.password_file")


class StoreSettings(Section):
    """The time-series store."""

    kind: Literal["sqlite", "influx"] = "sqlite"
    """`sqlite`: embedded, below `data_dir`. `influx`: InfluxDB 1.x, 2.x or 3.x."""

    path: Path | None = None
    """File of the embedded store; default `samples.sqlite` below `data_dir`."""

    url: str = "http://127.0.0.1:8086"
    """Base address of InfluxDB."""

    dialect: Literal["auto", "v1", "v2", "v3"] = "auto"
    """Interface of InfluxDB; `auto` asks the server."""

    database: str = "dyncal"
    """Database (1.x, 3.x) or bucket (2.x); made where it is missing and the credentials allow it."""

    retention_policy: str = ""
    """Retention policy (1.x) that is written and read, made where it is missing; default the database's own."""

    retention_days: float | None = Field(None, ge=1 / 24, le=36_500)
    """How long samples are kept [d]; default for ever. InfluxDB: of a database, bucket or policy that is made here."""

    org: str = ""
    """Organisation (2.x)."""

    username: str | None = None
    """User (1.x)."""

    password: SecretStr | None = None
    """Password (1.x); better given by `password_file` or DYNCAL_STORE__PASSWORD."""

    password_file: Path | None = None
    """File that holds the password, and nothing else; read again where the server does not accept what it said."""

    token: SecretStr | None = None
    """Token (2.x, 3.x); better given by `token_file` or DYNCAL_STORE__TOKEN."""

    token_file: Path | None = None
    """File that holds the token, and nothing else; read again where the server does not accept what it said."""

    timeout_s: float = Field(10.0, gt=0, le=300)
    """Longest wait for an answer [s]."""

    def resolved_password(self) -> str | None:
        """Return the password from the file or the setting. Raises `InvalidSetting` if the file cannot be read."""
        return read_secret(self.password_file, self.password, "store.password_file")

    def resolved_token(self) -> str | None:
        """Return the token from the file or the setting. Raises `InvalidSetting` if the file cannot be read."""
        return read_secret(self.token_file, self.token, "store.token_file")


class RegistrySettings(Section):
    """The registry's database."""

    url: str | None = None
    """SQLAlchemy URL, such as `postgresql+psycopg://user@host/dyncal`; default `registry.sqlite` below `data_dir`."""

    password: SecretStr | None = None
    """Password of the URL's user; better given by `password_file` or DYNCAL_REGISTRY__PASSWORD."""

    password_file: Path | None = None
    """File that holds the password, and nothing else; read for each connection."""

    checkpoint_s: float = Field(600.0, gt=0)
    """Interval at which `calibrate` signs where the audit trail ends, if it has grown [s]."""

    def resolved_password(self) -> str | None:
        """Return the password from the file or the setting. Raises `InvalidSetting` if the file cannot be read."""
        return read_secret(self.password_file, self.password, "registry.password_file")

    def resolved_url(self, data_dir: Path) -> str:
        """Return the URL with its password. Raises `InvalidSetting` if the password's file cannot be read."""
        if self.url is None:
            return f"sqlite:///{data_dir / 'registry.sqlite'}"
        password = self.resolved_password()
        scheme, found, rest = self.url.partition("://")
        user, at, host = rest.rpartition("@")
        if password is None or not (found and at):
            return self.url
        return f"{scheme}://{user.partition(':')[0]}:{quote(password, safe='')}@{host}"


class SigningSettings(Section):
    """Keys of coefficient sets (Ed25519)."""

    key_file: Path | None = None
    """Private key (PEM) with which `calibrate` signs; default `keys/signing.pem` below `data_dir`; made if absent."""

    trusted_dir: Path | None = None
    """Directory of the public keys (`<key id>.pem`) that edges accept; default `keys/trusted` below `data_dir`."""

    follow_rotation: bool = True
    """Whether an edge trusts new keys, and no longer trusts retired ones, where a key that it trusts says so."""


class ProgramSettings(BaseSettings):
    """What every program has. Each program adds its own section."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_nested_delimiter=ENV_DELIMITER,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )

    site: Name = "plant"
    """Name of the site; a level of every topic."""

    data_dir: Path = Path("var")
    """Directory of everything that is kept: stores, spool, keys."""

    log: LogSettings = LogSettings()
    trace: TraceSettings = TraceSettings()
    broker: BrokerSettings = BrokerSettings()

    @property
    def keeps_files(self) -> bool:
        """True if the program writes below `data_dir`."""
        return True

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the environment first, then the file (which `load` hands over as arguments)."""
        del settings_cls, dotenv_settings, file_secret_settings
        return (env_settings, init_settings)


def load(kind: type[S], file: Path | None = None) -> S:
    """Return the settings of one program from `file` and the environment.

    Raises
    ------
    InvalidSetting
        With file, key, value and what was expected, one line for each fault.
    """
    content = read_file(file) if file is not None else {}
    _check_variables()
    try:
        return kind(**{key: value for key, value in content.items() if key in kind.model_fields})
    except ValidationError as error:
        raise InvalidSetting(describe(error, file, kind)) from error
    except ValueError as error:  # pydantic-settings: a nested variable in the environment that cannot be read
        raise InvalidSetting(f"environment: {error}") from error


def read_file(file: Path) -> Mapping[str, Any]:
    """Return the content of a settings file. Raises `InvalidSetting` if it is unreadable or has unknown sections."""
    content = _read(file)
    unknown = sorted(set(content) - SECTIONS)
    if unknown:
        raise InvalidSetting(
            f"{file}: unknown section or key {', '.join(map(repr, unknown))}; known are {', '.join(sorted(SECTIONS))}"
        )
    return content


def origin_of(path: Sequence[str], content: Mapping[str, Any]) -> str:
    """Return where the setting at `path` comes from, given the content of the file.

    One of ``"environment"``, ``"file"`` and ``"default"``.
    """
    given = {variable.upper() for variable in os.environ}
    if any(ENV_PREFIX + ENV_DELIMITER.join(path[:n]).upper() in given for n in range(1, len(path) + 1)):
        return "environment"
    level: Any = content
    for part in path:
        if not isinstance(level, Mapping) or part not in level:
            return "default"
        level = level[part]
    return "file"


def _check_variables() -> None:
    for variable in sorted(os.environ):
        section, nested, _ = variable.removeprefix(ENV_PREFIX).partition(ENV_DELIMITER)
        if variable.startswith(ENV_PREFIX) and nested and section.lower() not in SECTIONS:
            raise InvalidSetting(
                f"environment variable {variable}: unknown section {section.lower()!r}; "
                f"known are {', '.join(sorted(SECTIONS))}"
            )


def read_secret(file: Path | None, value: SecretStr | None, key: str) -> str | None:
    """Return the secret in `file`, or `value`. Raises `InvalidSetting` if the file cannot be read."""
    if file is None:
        return None if value is None else value.get_secret_value()
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSetting(f"{key} = {str(file)!r}: cannot read it: {error}") from error


def _read(file: Path) -> Mapping[str, Any]:
    try:
        with file.open("rb") as stream:
            return tomllib.load(stream)
    except OSError as error:
        raise InvalidSetting(f"{file}: cannot read it: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidSetting(f"{file}: not TOML: {error}") from error
