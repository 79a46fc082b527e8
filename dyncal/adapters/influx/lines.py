"""Line protocol, made column by column.

Per sensor and write, rows of all records are put together first: the newest write wins, raw and corrected values of one
instant share a line. Numbers are the shortest text that reads back to the same float64. Kernels print whole lines
(`dyncal.adapters.influx.printing`).

Measurements
------------
``samples``, tag ``sensor``: float ``raw``, ``corrected``, ``u``; integer ``quality``; string ``set``. A field is absent
where there is no value. InfluxDB has no infinity: such a value is an integer field ``raw_inf``, ``corrected_inf`` or
``u_inf`` of 1 or -1 instead.
``blocks``, tag ``sensor``: one point for each block at its first instant, with what is known of it besides the samples.
``gaps``, tags ``sensor`` and ``cause``, at the instant after which samples are missing.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Final

from dyncal.adapters.influx.columns import columns
from dyncal.adapters.influx.printers import PRINTER
from dyncal.adapters.influx.scratch import Scratch
from dyncal.contracts.samples import BlockMessage, instants, message_of
from dyncal.domain.samples import GapRecord, SampleBlock
from dyncal.domain.sensors import EdgeId, SensorId
from dyncal.ports.sample_store import Writable

SAMPLES: Final = "samples"
BLOCKS: Final = "blocks"
GAPS: Final = "gaps"

Packed = BlockMessage | GapRecord

_TAG: Final = str.maketrans({",": "\\,", "=": "\\=", " ": "\\ ", "\n": "\\n"})
_STRING: Final = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": " ", "\r": " "})


def encode(records: Sequence[Writable]) -> bytes:
    """Return the lines of records, each ended by a newline; of equal instants the later record wins."""
    return bytes(Encoder().encode(packed(records)))


def packed(records: Sequence[Writable]) -> list[Packed]:
    """Return records with blocks as they travel."""
    return [
        record
        if isinstance(record, (BlockMessage, GapRecord))
        else message_of(record if isinstance(record, SampleBlock) else record.unpacked())
        for record in records
    ]


class Encoder:
    """Makes lines in memory that it uses again; for one thread."""

    def __init__(self) -> None:
        self._scratch = Scratch()

    def encode(self, records: Sequence[Packed]) -> bytes | memoryview:
        """Return lines as `encode` does, in memory that is theirs until the next call."""
        PRINTER.begin()
        blocks: dict[SensorId, list[BlockMessage]] = {}
        first: list[str] = []
        for record in records:
            if isinstance(record, GapRecord):
                first.append(_gap_line(record))
            else:
                blocks.setdefault(record.sensor, []).append(record)
                first.append(_block_line(record))
        text = "".join(first).encode()
        if not blocks:
            return text
        heads = [f"{SAMPLES},sensor={tag(sensor)} ".encode() for sensor in blocks]
        found = columns(list(blocks.values()))
        sets = [f"set={string(name)}".encode() for name in found.set_ids]
        return PRINTER.sample_lines(text, heads, found, sets, self._scratch)


def tag(text: str) -> str:
    """Return a tag value, escaped; one that ends in a backslash would swallow what follows, so that is doubled."""
    escaped = text.translate(_TAG)
    return escaped + "\\" if escaped.endswith("\\") else escaped


def string(text: str) -> str:
    """Return a string field, quoted and escaped."""
    return f'"{text.translate(_STRING)}"'


@functools.lru_cache(maxsize=8192)
def _of_block(sensor: SensorId, edge: EdgeId, epoch: int) -> str:
    return f"{BLOCKS},sensor={tag(sensor)} edge={string(edge)},epoch={epoch}i,"


def _block_line(block: BlockMessage) -> str:
    axis = block.axis
    first = int(instants(axis)[0]) if axis.t0_ns is None else axis.t0_ns
    return (
        f"{_of_block(block.sensor, block.edge, block.epoch)}sequence={block.sequence}i,n={len(block.raw) // 8}i,"
        f"arrival_ns={block.arrival_ns}i,u_t_ns={block.u_t_ns}i,replayed={'true' if block.replayed else 'false'}"
        f"{'' if block.server_ns is None else f',server_ns={block.server_ns}i'} {first}\n"
    )


def _gap_line(record: GapRecord) -> str:
    gap = record.gap
    lost = -1 if gap.n_lost is None else gap.n_lost
    fields = (
        f"before_ns={gap.before_ns}i,n_lost={lost}i,edge={string(record.edge)},epoch={record.epoch}i,"
        f"sequence={record.sequence}i,last_sequence={record.last_sequence}i"
    )
    return f"{GAPS},sensor={tag(record.sensor)},cause={gap.cause} {fields} {gap.after_ns}\n"
