"""Reference data sets: a fixed family with known truth, the same numbers whoever makes them (docs/datasets.md)."""
