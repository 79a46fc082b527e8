"""Correction of streams and records with a designed filter: numpy only, compiled where numba is."""
