"""Design of the correction: what is known of sensor and measurand, the filter for it, and how well that will do."""
