"""What holds of any InfluxDB that is killed."""

from __future__ import annotations

import numpy as np
import pytest

from dyncal.domain.errors import StoreUnavailable
from dyncal.domain.time import InstantNs
from dyncal.ports.sample_store import SampleStore
from dyncal.testing.records import TC, block, uniform
from tests.servers import Influxd


def keeps_what_was_answered(influxd: Influxd, store: SampleStore) -> None:
    """Write, kill the server, start it again, and find what it had answered."""
    for k in range(50):
        store.write([block(np.full(100, float(k)), sequence=k, axis=uniform(100, 100 * k))])
    influxd.stop(kill=True)
    with pytest.raises(StoreUnavailable):
        store.write([block([1.0])])
    influxd.start()
    found = store.read(TC, InstantNs(0), InstantNs(9_000_000_000_000_000_000)).raw
    np.testing.assert_array_equal(found, np.repeat(np.arange(50.0), 100))
    store.close()
