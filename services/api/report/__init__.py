"""The report of a calibration: what it found, drawn and stated."""
