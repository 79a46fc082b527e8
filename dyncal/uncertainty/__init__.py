"""Monte Carlo propagation of distributions, and its judgement on the law of propagation (JCGM 101, 102)."""
