"""Tables of the registry, as `migrations` makes them.

Instants are int64 nanoseconds; what has arrays is a MessagePack document beside its keys.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

metadata = sa.MetaData()

_NAME: Final = sa.String(128)

schema_version = sa.Table("schema_version", metadata, sa.Column("version", sa.Integer, nullable=False))
"""For programs from before `alembic_version`, which said 1 to 3 here: the 4 in it has them refuse these tables."""

counters = sa.Table(
    "counters",
    metadata,
    sa.Column("name", sa.String(32), primary_key=True),
    sa.Column("value", sa.BigInteger, nullable=False),
)

sensors = sa.Table(
    "sensors",
    metadata,
    sa.Column("id", _NAME, primary_key=True),
    sa.Column("site", _NAME, nullable=False),
    sa.Column("edge", _NAME, nullable=False, index=True),
    sa.Column("unit", sa.Text, nullable=False),
    sa.Column("dt_ns", sa.BigInteger, nullable=False),
    sa.Column("label", sa.Text, nullable=False),
)

pairings = sa.Table(
    "pairings",
    metadata,
    sa.Column("sensor", _NAME, primary_key=True),
    sa.Column("reference", _NAME, nullable=False, index=True),
    sa.Column("model", sa.String(32), nullable=False),
    sa.Column("u_reference", sa.Double, nullable=False),
    sa.Column("u_reference_gain", sa.Double, nullable=False),
    sa.Column("u_clock_s", sa.Double, nullable=False),
    sa.Column("band_hz", sa.Double),
    sa.Column("max_latency_s", sa.Double),
    sa.Column("tolerance", sa.JSON, nullable=False),
    sa.Column("u_reference_noise", sa.Double),
    sa.Column("dead_time", sa.Boolean, nullable=False),
    sa.Column("n_poles", sa.Integer),
    sa.Column("n_zeros", sa.Integer, nullable=False),
)

calibrations = sa.Table(
    "calibrations",
    metadata,
    sa.Column("id", sa.String(255), primary_key=True),
    sa.Column("sensor", _NAME, nullable=False),
    sa.Column("fitted_at_ns", sa.BigInteger, nullable=False),
    sa.Column("document", sa.LargeBinary, nullable=False),
    sa.Index("calibrations_by_time", "fitted_at_ns", "id"),
    sa.Index("calibrations_by_sensor", "sensor", "fitted_at_ns"),
)

sets = sa.Table(
    "coefficient_sets",
    metadata,
    sa.Column("id", sa.String(255), primary_key=True),
    sa.Column("sensor", _NAME, nullable=False),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("changed_ns", sa.BigInteger, nullable=False),
    sa.Column("document", sa.LargeBinary, nullable=False),
    sa.Column("envelope", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("sensor", "sequence"),
)


alarm_states = sa.Table(
    "alarm_states",
    metadata,
    sa.Column("id", sa.String(300), primary_key=True),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("number", sa.BigInteger, nullable=False, index=True),
    sa.Column("document", sa.LargeBinary, nullable=False),
)

alarm_changes = sa.Table(
    "alarm_changes",
    metadata,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("alarm", sa.String(300), nullable=False),
    sa.Column("source", _NAME, nullable=False),
    sa.Column("event", sa.String(32), nullable=False),
    sa.Column("at_ns", sa.BigInteger, nullable=False, index=True),
    sa.Column("priority", sa.String(16), nullable=False),
    sa.Column("annunciated", sa.String(16), nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("document", sa.LargeBinary, nullable=False),
    sa.Index("alarm_changes_of_alarm", "alarm", "number"),
    sa.Index("alarm_changes_of_source", "source", "number"),
)

alarm_definitions = sa.Table(
    "alarm_definitions",
    metadata,
    sa.Column("kind", sa.String(32), primary_key=True),
    sa.Column("changed_ns", sa.BigInteger, nullable=False),
    sa.Column("document", sa.LargeBinary, nullable=False),
)

alarm_floods = sa.Table(
    "alarm_floods",
    metadata,
    sa.Column("began_ns", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("ended_ns", sa.BigInteger),
    sa.Column("document", sa.LargeBinary, nullable=False),
)

alarm_answers = sa.Table(
    "alarm_answers",
    metadata,
    sa.Column("key", sa.String(200), primary_key=True),
    sa.Column("at_ns", sa.BigInteger, nullable=False, index=True),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("answer", sa.LargeBinary, nullable=False),
)

alarm_desk = sa.Table(
    "alarm_desk",
    metadata,
    sa.Column("only", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("document", sa.LargeBinary, nullable=False),
)
"""What the alarm engine knows beside its alarms; `revision` grows with every write: only one process may write."""

snapshots = sa.Table(
    "snapshots",
    metadata,
    sa.Column("key", sa.String(255), primary_key=True),
    sa.Column("at_ns", sa.BigInteger, nullable=False),
    sa.Column("content", sa.LargeBinary, nullable=False),
)

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("at_ns", sa.BigInteger, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
)

audit_head = sa.Table(
    "audit_head",
    metadata,
    sa.Column("only", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
)
"""The end of the chain: the row that every writer locks, and by which a trail that was cut short is found."""
