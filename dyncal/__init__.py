"""Dynamic calibration of industrial sensors, while the plant runs."""

__version__ = "0.1.0"
