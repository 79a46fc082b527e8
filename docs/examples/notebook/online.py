"""A sensor followed while it fouls: its time constant grows, the drift monitor says so, the correction follows."""

# %%
import matplotlib.pyplot as plt
import numpy as np
from scipy.signal import lfilter

from dyncal import AlignedRecord, DriftMonitor, DriftSettings, ModelKind, OnlineEstimator, OnlineSettings, model_of

rng = np.random.default_rng(3)
dt_ns, n = 10_000_000, 60_000
process = 80 + 3 * lfilter([1.0], [1.0, -0.98], 0.2 * rng.normal(size=n))
t_ns = np.arange(n, dtype=np.int64) * dt_ns
tau_s = np.repeat([0.50, 0.50, 0.50, 0.55, 0.60, 0.65], n // 6)  # clean for five minutes, then fouling
model = model_of(ModelKind.FIRST_ORDER)
indication = np.empty(n)
for tau in np.unique(tau_s):
    indication[tau_s == tau] = model.simulate(np.array([1.0, tau]), t_ns, process)[tau_s == tau]
indication += 0.01 * rng.normal(size=n)

# %% Blocks close when they have brought enough information, not after a set time
estimator = OnlineEstimator(ModelKind.FIRST_ORDER, dt_ns, OnlineSettings())
monitor = DriftMonitor(("gain", "tau_s"), DriftSettings(arl0_blocks=10_000))
seen = []
for first in range(0, n, 500):  # as an edge would send it
    part = slice(first, first + 500)
    for outcome in estimator.update(AlignedRecord(t_ns[part], indication[part], process[part])):
        status = monitor.update(outcome)
        seen.append((outcome.to_ns * 1e-9, outcome.theta[1], np.sqrt(outcome.cov[1, 1]), status.state.value))
at_s, found, u, state = (np.array(column) for column in zip(*seen, strict=True))

# %%
alarm_s = at_s[state == "drift"].min()
print(f"fouling begins at 300 s, drift is reported at {alarm_s:.0f} s")
print(f"at the end: tau_s = {found[-1]:.3f} ± {u[-1]:.3f}, truth 0.65")
assert 300 < alarm_s < 420
assert abs(found[-1] - 0.65) < 0.02

figure, axes = plt.subplots()
axes.step(t_ns * 1e-9, tau_s, "k--", label="truth")
axes.errorbar(at_s, found, 2 * u, fmt=".", markersize=3, label="estimate ± 2u")
axes.axvline(alarm_s, color="tab:red", label="drift reported")
axes.set(xlabel="time / s", ylabel="time constant / s")
axes.legend()
figure.savefig("online.png")
