"""A sensor that reports when it likes: corrected by a smoother, with a budget, and judged by Monte Carlo."""

# %%
import matplotlib.pyplot as plt
import numpy as np

from dyncal import (
    ModelKind,
    Parameters,
    budget,
    correct_at,
    correction_monte_carlo,
    design_smoother,
    from_bandwidth,
    model_of,
)
from dyncal.uncertainty import MonteCarloSettings

rng = np.random.default_rng(8)
sensor, truth = model_of(ModelKind.FIRST_ORDER), np.array([1.0, 0.5])  # a thermocouple in its sleeve
dt_s, noise_std = 0.05, 0.02
t_fine = np.arange(40_000, dtype=np.int64) * 1_000_000
phases = rng.uniform(0, 2 * np.pi, 12)
f_hz = np.linspace(0.05, 0.4, 12)
temperature = 60 + np.sum(0.4 * np.cos(2 * np.pi * f_hz * t_fine[:, None] * 1e-9 + phases), axis=1)
indication = sensor.simulate(truth, t_fine, temperature)

# %% It reports at intervals between 10 and 90 ms
at = np.cumsum(rng.integers(10, 90, size=700))
t_ns, raw = t_fine[at], indication[at] + noise_std * rng.normal(size=at.size)

# %% What a calibration found, and the smoother for it
u = np.array([0.002, 0.01])
parameters = Parameters(ModelKind.FIRST_ORDER, ("gain", "tau_s"), truth + u * rng.normal(size=2), np.diag(u**2))
made = design_smoother(
    parameters, dt_ns=round(dt_s * 1e9), noise_std=noise_std, spectrum=from_bandwidth(0.4, 1.0, order=4)
)
value, u_value = correct_at(made.correction, parameters, t_ns, raw, u_t_s=1e-3)
told = np.isfinite(value)
error = (value - temperature[at])[told]
print(f"rms error: {np.std(raw - temperature[at]):.3f} raw, {np.sqrt(np.mean(error**2)):.3f} corrected")
assert np.sqrt(np.mean(error**2)) < 0.2 * np.std(raw - temperature[at])

# %% What u is made of
parts = budget(made.correction, parameters, raw, t_ns=t_ns, u_t_s=1e-3)
for line in parts.contributions:
    print(f"  {line.name:20s} {np.nanmean(line.u):.5f}")
np.testing.assert_allclose(parts.u[told], u_value[told], rtol=1e-6)

# %% Monte Carlo with the exact responses is the judge (JCGM 101, clause 8); the first seconds still learn the level
last = slice(-200, None)
judge = correction_monte_carlo(
    made.correction, parameters, sensor, raw[last], t_ns=t_ns[last], u_t_s=1e-3, seed=1,
    settings=MonteCarloSettings(n_draws=2000),
)  # fmt: skip
again, u_again = correct_at(made.correction, parameters, t_ns[last], raw[last], u_t_s=1e-3)
ratio = (u_again[judge.span] / judge.result.u)[80:]
print(f"u over that of {judge.result.n_draws} draws: {ratio.min():.2f} to {ratio.max():.2f}")
assert 0.85 < ratio.min()
assert ratio.max() < 1.15

figure, axes = plt.subplots()
t = t_ns * 1e-9
axes.plot(t_fine * 1e-9, temperature, "k", label="temperature")
axes.plot(t, raw, ".", color="tab:orange", label="raw")
axes.errorbar(t[told], value[told], 2 * u_value[told], fmt=".", color="tab:blue", label="corrected ± 2u")
axes.set(xlim=(15, 20), xlabel="time / s", ylabel="temperature / °C")
axes.legend()
figure.savefig("irregular.png")
