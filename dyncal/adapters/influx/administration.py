"""What an InfluxDB 2.x needs before lines can be written, made with influxdb-client.

Lines themselves do not go through it: its batching writer loses them without a word where the server is gone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from influxdb_client import BucketRetentionRules, DBRPCreate, DBRPsService, InfluxDBClient
from influxdb_client.rest import ApiException
from urllib3.exceptions import HTTPError

from dyncal.adapters.influx.http import Answer, Endpoint, NoDatabase, raise_for
from dyncal.domain.errors import StoreRefused, StoreUnavailable
from dyncal.runtime.faults import redacted_url


def make_ready(endpoint: Endpoint, keep_s: int | None) -> None:
    """Create the bucket, and the mapping by which InfluxQL finds it, where they are missing.

    Parameters
    ----------
    keep_s : int, optional
        How long a bucket that is created keeps its points [s]; None for ever.

    Raises
    ------
    StoreRefused
        If nobody knows the organisation.
    StoreUnauthorized, StoreUnavailable, BadLines
        As `raise_for`.
    """
    client: Any = InfluxDBClient(
        url=endpoint.url.rstrip("/"),
        token=endpoint.token or "",
        org=endpoint.org,
        timeout=round(endpoint.timeout_s * 1000),
        retries=False,
    )
    with contextlib.closing(client), _translated(endpoint):
        org_id = _organisation(client, endpoint)
        bucket_id = _bucket(client, endpoint, org_id, keep_s)
        _map(client, endpoint, org_id, bucket_id)


def _organisation(client: Any, endpoint: Endpoint) -> str:
    refusal = StoreRefused(f"InfluxDB knows no organisation store.org = {endpoint.org!r} for {endpoint.who}")
    try:
        found = client.organizations_api().find_organizations(org=endpoint.org)
    except ApiException as error:
        if error.status == 404:
            raise refusal from error
        raise
    if not found:
        raise refusal
    return str(found[0].id)


def _bucket(client: Any, endpoint: Endpoint, org_id: str, keep_s: int | None) -> str:
    buckets = client.buckets_api()
    there = _find_bucket(buckets, endpoint, org_id)
    if there is not None:
        return there
    rules = [] if keep_s is None else [BucketRetentionRules(type="expire", every_seconds=keep_s)]
    try:
        return str(buckets.create_bucket(bucket_name=endpoint.database, org=org_id, retention_rules=rules).id)
    except ApiException:
        there = _find_bucket(buckets, endpoint, org_id)
        if there is None:
            raise
        return there  # somebody else made it meanwhile


def _find_bucket(buckets: Any, endpoint: Endpoint, org_id: str) -> str | None:
    try:
        found = buckets.find_buckets(name=endpoint.database, org_id=org_id).buckets
    except ApiException as error:
        if error.status != 404:
            raise
        return None
    return str(found[0].id) if found else None


def _map(client: Any, endpoint: Endpoint, org_id: str, bucket_id: str) -> None:
    """Make the mapping that is missing; 2.x has one of its own, for `autogen`, of each bucket."""
    mappings = DBRPsService(client.api_client)
    policy = endpoint.retention_policy or "autogen"
    there = mappings.get_dbr_ps(org_id=org_id, db=endpoint.database).content or []
    if any(not endpoint.retention_policy or mapping.retention_policy == policy for mapping in there):
        return
    mappings.post_dbrp(
        DBRPCreate(
            org_id=org_id, bucket_id=bucket_id, database=endpoint.database, retention_policy=policy, default=True
        )
    )


@contextlib.contextmanager
def _translated(endpoint: Endpoint) -> Iterator[None]:
    """Raise what influxdb-client raises as our own errors."""
    try:
        yield
    except ApiException as error:
        if not error.status:
            raise StoreUnavailable(f"{redacted_url(endpoint.url)}: {error.reason}") from error
        headers = {name.lower(): value for name, value in (error.headers or {}).items()}
        body = error.body if isinstance(error.body, bytes) else str(error.body or "").encode()
        try:
            raise_for(Answer(error.status, headers, body), endpoint)
        except NoDatabase as missing:
            raise StoreRefused(f"{missing}; of store.org or store.database") from error
    except (HTTPError, OSError, ValueError) as error:  # ValueError: an answer that is not as documented
        raise StoreUnavailable(f"{redacted_url(endpoint.url)}: {error}") from error
