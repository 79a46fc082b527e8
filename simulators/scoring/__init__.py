"""Scores of estimators, correctors and drift detectors on the reference data sets: anybody's (docs/datasets.md)."""
