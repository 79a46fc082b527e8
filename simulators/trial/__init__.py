"""Trials: a scenario run against the real programs, each a process of its own, and scored."""
