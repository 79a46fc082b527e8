"""Is the GUM's first order enough? Monte Carlo is the judge (JCGM 101, clause 8)."""

# %%
import matplotlib.pyplot as plt
import numpy as np

from dyncal import monte_carlo, validate
from dyncal.uncertainty import MultivariateNormal, gum

# %% The magnitude of a resonant sensor at three frequencies, from uncertain damping and resonance
f_hz = np.array([400.0, 760.0, 800.0])
values, cov = np.array([1.0, 0.12, 800.0]), np.diag([0.002, 0.01, 2.0]) ** 2


def magnitude(theta):
    gain, damping, f0 = (theta[:, i, None] for i in range(3))
    x = f_hz / f0
    return gain / np.sqrt((1 - x**2) ** 2 + (2 * damping * x) ** 2)


first_order = gum(magnitude, values, cov)
judge = monte_carlo(MultivariateNormal(values, cov), magnitude, seed=1)
print(f"{judge.n_draws} draws until two digits of u stood")
verdict = validate(first_order, judge)
for f, low, high, delta, passed in zip(
    f_hz, verdict.d_low, verdict.d_high, verdict.delta, verdict.passed_each, strict=True
):
    print(
        f"{f:5.0f} Hz: ends of the interval differ by {low:.2g} and {high:.2g}, allowed {delta:.2g}: {'yes' if passed else 'no'}"
    )

# %% Far from resonance yes, at resonance not: there the damping's 8 % is not small
assert verdict.passed_each[0]
assert not verdict.passed_each[2]

figure, axes = plt.subplots()
axes.errorbar(f_hz - 4, first_order.value, 1.96 * first_order.u, fmt="o", label="GUM, first order")
axes.errorbar(f_hz + 4, judge.value, [judge.value - judge.low, judge.high - judge.value], fmt="s", label="Monte Carlo")
axes.set(xlabel="frequency / Hz", ylabel="magnitude")
axes.legend()
figure.savefig("validation.png")
