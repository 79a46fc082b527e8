"""Methods that come with dyncal: its own, and baselines to compare with. Each is a function of one record."""
