"""Replay: what was recorded or is simulated, once more through the engines of edge, ingest and calibrate.

Network-free (`simulators.replay.run`) the same events give the same effects to the last bit; live
(`simulators.replay.live`) they go onto a broker at true pace.
"""

from __future__ import annotations

from simulators.replay.effects import Effects
from simulators.replay.run import Options, Replayed, replay, run_scenario
from simulators.replay.sources import Block, Source

__all__ = ["Block", "Effects", "Options", "Replayed", "Source", "replay", "run_scenario"]
