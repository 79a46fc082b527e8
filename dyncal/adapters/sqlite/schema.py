"""Tables of the embedded sample store."""

from __future__ import annotations

from typing import Final

VERSION: Final = 2

# `tail` segments are what came since the last merge, as it came; the others are disjoint in time for each sensor and
# kind. `longest_ns` bounds how far back a segment that reaches into a range can begin: the range query needs one
# index scan. `t_valid_ns` is the newest instant with a value. Segments of `aggregate` are disjoint in time for each
# sensor and width. That table came later and needs no other version: who does not know it leaves it alone.
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS sensor (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, longest_ns INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS coefficient_set (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE IF NOT EXISTS segment (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  sensor INTEGER NOT NULL REFERENCES sensor,
  kind INTEGER NOT NULL,
  tail INTEGER NOT NULL,
  t_first_ns INTEGER NOT NULL,
  t_last_ns INTEGER NOT NULL,
  t_valid_ns INTEGER,
  n INTEGER NOT NULL,
  payload BLOB NOT NULL,
  origins BLOB
) STRICT;
CREATE INDEX IF NOT EXISTS segment_range ON segment (sensor, kind, t_first_ns, t_last_ns);
CREATE INDEX IF NOT EXISTS segment_valid ON segment (sensor, kind, t_valid_ns);
CREATE INDEX IF NOT EXISTS segment_tail ON segment (sensor, kind) WHERE tail = 1;
CREATE TABLE IF NOT EXISTS gap (
  sensor INTEGER NOT NULL REFERENCES sensor,
  after_ns INTEGER NOT NULL,
  cause TEXT NOT NULL,
  before_ns INTEGER NOT NULL,
  n_lost INTEGER,
  PRIMARY KEY (sensor, after_ns, cause)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS aggregate (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  sensor INTEGER NOT NULL REFERENCES sensor,
  width_ns INTEGER NOT NULL,
  t_first_ns INTEGER NOT NULL,
  t_last_ns INTEGER NOT NULL,
  n INTEGER NOT NULL,
  payload BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS aggregate_range ON aggregate (sensor, width_ns, t_first_ns, t_last_ns);
"""
