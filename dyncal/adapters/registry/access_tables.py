"""Tables of who may get in: keys, users and sessions. None of them holds a secret, only what is made of it."""

from __future__ import annotations

import sqlalchemy as sa

from dyncal.adapters.registry.schema import metadata

_NAME = sa.String(128)

access_keys = sa.Table(
    "access_keys",
    metadata,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
    sa.Column("created_ns", sa.BigInteger, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("edge", _NAME),
    sa.Column("edges", sa.JSON(none_as_null=True)),
    sa.Column("sensors", sa.JSON(none_as_null=True)),
    sa.Column("expires_ns", sa.BigInteger),
    sa.Column("revoked_ns", sa.BigInteger),
    sa.Column("used_ns", sa.BigInteger),
)

access_users = sa.Table(
    "access_users",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
    sa.Column("created_ns", sa.BigInteger, nullable=False),
    sa.Column("changed_ns", sa.BigInteger, nullable=False),
    sa.Column("disabled", sa.Boolean, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
)

access_sessions = sa.Table(
    "access_sessions",
    metadata,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("holder", _NAME, nullable=False, index=True),
    sa.Column("opened_ns", sa.BigInteger, nullable=False),
    sa.Column("seen_ns", sa.BigInteger, nullable=False),
    sa.Column("expires_ns", sa.BigInteger, nullable=False),
)
