"""Calibrations on demand: over an interval of the store, beside the running ones."""
