"""The fit of a job, in a process of its own: it can be ended at any moment, and takes nothing from the event loop.

``python -m services.api.jobs.fit`` reads one job from standard input and writes what it found, in MessagePack.
"""

from __future__ import annotations

import dataclasses
import sys

import msgspec
import numpy as np

from dyncal.domain.errors import InvalidData
from dyncal.identification.record_fit import RecordSettings, fit_record
from dyncal.identification.records import AlignedRecord
from dyncal.models import paired_model
from services.api.jobs.messages import Asked, Found


def fit(asked: Asked) -> Found:
    """Fit a sensor's model to a record with its reference."""
    pairing = asked.pairing
    try:
        record = AlignedRecord(
            np.frombuffer(asked.t_ns, "<i8").astype(np.int64),
            np.frombuffer(asked.indication, "<f8").astype(np.float64),
            np.frombuffer(asked.reference, "<f8").astype(np.float64),
        )
        settings = RecordSettings(
            u_reference=pairing.u_reference,
            u_reference_noise=pairing.u_reference_noise or 0.0,
            u_reference_gain=pairing.u_reference_gain,
            u_clock_s=pairing.u_clock_s,
        )
        made = fit_record(record, paired_model(pairing), settings=settings).estimate
    except InvalidData as error:
        return Found(error=str(error))
    p = made.parameters
    return Found(
        verdict=made.verdict,
        model=pairing.model,
        names=() if p is None else p.names,
        values=() if p is None else tuple(p.values.tolist()),
        cov=() if p is None else tuple(p.cov.ravel().tolist()),
        **{
            field.name: getattr(made, field.name)
            for field in dataclasses.fields(made)
            if field.name not in ("verdict", "parameters")
        },
    )


def main() -> None:
    """Fit what standard input says; say on standard error when it begins, after all that takes long was imported."""
    asked = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Asked)
    sys.stderr.write("fitting\n")
    sys.stderr.flush()
    sys.stdout.buffer.write(msgspec.msgpack.encode(fit(asked)))


if __name__ == "__main__":
    main()
