"""The whole system under its full load for long: ``python -m tests.soak``."""
