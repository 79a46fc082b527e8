"""What is kept on the edge's disk until the store has it."""

from edge_agent.spool.index import Position
from edge_agent.spool.policy import SpoolLimits
from edge_agent.spool.segment import Entry, EntryKind, entry_of
from edge_agent.spool.spool import SHOW_AFTER_S, Spool

__all__ = ["SHOW_AFTER_S", "Entry", "EntryKind", "Position", "Spool", "SpoolLimits", "entry_of"]
