"""What ingest says, retained, of what became of each sensor's records: JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Final

import msgspec

from dyncal.contracts import codec
from dyncal.contracts.fields import Count, Instant, Name, Text
from dyncal.domain.accounts import Account, Lost
from dyncal.domain.errors import MalformedMessage
from dyncal.domain.samples import GapCause
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs

VERSION: Final = 1


class LostMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Gaps of one cause, as `dyncal.domain.accounts.Lost`."""

    gaps: Count = 0
    samples: Count = 0
    uncounted: Count = 0


class AccountMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a sensor's records, as `dyncal.domain.accounts.Account`; `gaps` by cause."""

    numbers: Count = 0
    blocks: Count = 0
    samples: Count = 0
    gap_numbers: Count = 0
    gaps: dict[Text, LostMessage] = {}
    quarantined: Count = 0
    unknown: Count = 0
    repeated_records: Count = 0
    repeated_samples: Count = 0


class LedgerMessage(msgspec.Struct, frozen=True):
    """The accounts of an edge's sensors at an instant, since the ledger began; retained."""

    v: int
    at_ns: Instant
    sensors: dict[Name, AccountMessage]


_COUNTS: Final = tuple(field.name for field in fields(Account) if field.name != "gaps")


def encode(at_ns: InstantNs, accounts: Mapping[SensorId, Account]) -> bytes:
    """Return the message of an edge's accounts."""
    return codec.to_json(
        LedgerMessage(VERSION, at_ns, {str(sensor): _message(account) for sensor, account in sorted(accounts.items())})
    )


def decode(payload: bytes) -> tuple[InstantNs, dict[SensorId, Account]]:
    """Return instant and accounts of a message.

    Raises
    ------
    MalformedMessage
        If it is none, of another version, or an account in it does not add up.
    """
    message = codec.from_json(payload, LedgerMessage)
    if message.v != VERSION:
        raise MalformedMessage(f"a ledger of version {message.v}; this program reads {VERSION}")
    accounts = {SensorId(sensor): _account(account) for sensor, account in message.sensors.items()}
    wrong = next((sensor for sensor, account in accounts.items() if not account.adds_up), None)
    if wrong is not None:
        raise MalformedMessage(f"the account of sensor {wrong} does not add up")
    return InstantNs(message.at_ns), accounts


def _message(account: Account) -> AccountMessage:
    gaps = {cause.value: LostMessage(lost.gaps, lost.samples, lost.uncounted) for cause, lost in account.gaps.items()}
    return AccountMessage(gaps=gaps, **{name: getattr(account, name) for name in _COUNTS})


def _account(message: AccountMessage) -> Account:
    try:
        gaps = {GapCause(cause): Lost(lost.gaps, lost.samples, lost.uncounted) for cause, lost in message.gaps.items()}
    except ValueError as error:
        raise MalformedMessage(str(error)) from error
    return Account(gaps=gaps, **{name: getattr(message, name) for name in _COUNTS})
