"""Digital calibration certificates: PTB's DCC 3.3.0 with D-SI 2.2.1, written and read."""
