"""Recordings: samples of a plant in one file, CSV or Parquet, with what must be known of its channels beside them.

A recording has one row for each sample: ``t`` (or ``t_ns``), ``channel``, ``value`` and, if you like, ``quality``,
``u_t_ns`` and ``arrival``. See docs/recordings.md.
"""

from __future__ import annotations

from simulators.recordings.blocks import Block, Selection
from simulators.recordings.files import Recording, RecordingWriter, is_recording, open_recording, write_recording
from simulators.recordings.info import ChannelInfo, Order, PairingInfo, RecordingInfo, SourceInfo

__all__ = [
    "Block",
    "ChannelInfo",
    "Order",
    "PairingInfo",
    "Recording",
    "RecordingInfo",
    "RecordingWriter",
    "Selection",
    "SourceInfo",
    "is_recording",
    "open_recording",
    "write_recording",
]
