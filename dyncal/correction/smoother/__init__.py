"""Fixed-lag smoothing of indications: for narrow bands, jitter beyond a quarter of the interval, and gaps."""
