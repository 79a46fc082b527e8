"""From parameters to corrected values with their uncertainty, contribution by contribution."""

# %%
import matplotlib.pyplot as plt
import numpy as np
from scipy.signal import butter, lfilter

from dyncal import ModelKind, Parameters, budget, correct, design, fit_spectrum, model_of

rng = np.random.default_rng(6)
dt_s = 1e-4
truth = np.array([1.0, 0.12, 800.0])  # a pressure sensor behind a short line: it rings
pressure = 5 + lfilter(*butter(4, 400, fs=1 / dt_s), 3 * rng.normal(size=20_000))
t_ns = np.arange(pressure.size, dtype=np.int64) * round(dt_s * 1e9)
raw = model_of(ModelKind.SECOND_ORDER).simulate(truth, t_ns, pressure) + 0.005 * rng.normal(size=pressure.size)

# %% What a calibration found: near the truth, with a covariance
u = np.array([0.004, 0.002, 4.0])
parameters = Parameters(
    ModelKind.SECOND_ORDER, ("gain", "damping", "f0_hz"), truth + u * rng.normal(size=3), np.diag(u**2)
)

# %% The filter of least mean square error, exact at DC, for what the measurand is like
spectrum = fit_spectrum(raw, dt_s, ModelKind.SECOND_ORDER, parameters.values, noise_std=0.005)
made = design(parameters, dt_ns=round(dt_s * 1e9), noise_std=0.005, spectrum=spectrum)
print(f"{made.filter.fir.size} taps, latency {made.filter.delay} samples, {made.optimum_ratio:.3f} of the optimum")
value, u_value = correct(made.filter, parameters, raw)

# %%
told = np.isfinite(value)
error = value[told] - pressure[told]
inside = np.mean(np.abs(error) < 1.96 * u_value[told])
print(
    f"rms error: {np.std(raw - pressure):.4f} raw, {np.sqrt(np.mean(error**2)):.4f} corrected; 95 % intervals hold {inside:.1%}"
)
assert np.sqrt(np.mean(error**2)) < 0.2 * np.std(raw - pressure)
assert inside > 0.85
parts = budget(made.filter, parameters, raw, u_t_s=1e-6)
for line in parts.contributions:
    print(f"  {line.name:20s} {np.nanmean(line.u):.5f}")

figure, axes = plt.subplots()
show = slice(5000, 5120)
t = t_ns[show] * 1e-9
axes.plot(t, pressure[show], "k", label="pressure")
axes.plot(t, raw[show], color="tab:orange", label="raw")
axes.plot(t, value[show], color="tab:blue", label="corrected ± 2u")
axes.fill_between(t, (value - 2 * u_value)[show], (value + 2 * u_value)[show], color="tab:blue", alpha=0.3)
axes.set(xlabel="time / s", ylabel="pressure / bar")
axes.legend()
figure.savefig("correction.png")
