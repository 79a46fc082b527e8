"""No reference: two thermocouples of unequal size side by side tell the time constants of both."""

# %%
import matplotlib.pyplot as plt
import numpy as np
from scipy.signal import lfilter

from dyncal import ModelKind, PairRecord, fit_cross_relation, model_of

rng = np.random.default_rng(4)
fine = 8  # the gas does not wait for the samples
gas = 300 + lfilter([1.0], [1.0, -0.994], rng.normal(size=8000 * fine))
t_ns = np.arange(8000 * fine, dtype=np.int64) * 1_250_000
seen = []
for tau_s in (0.06, 0.15):
    y = model_of(ModelKind.FIRST_ORDER).simulate(np.array([1.0, tau_s]), t_ns, gas)[::fine]
    seen.append(y + 0.05 * rng.normal(size=y.size))
record = PairRecord(t_ns[::fine], *seen)

# %% H2 y1 = H1 y2, whatever the gas does
fit = fit_cross_relation(record, ModelKind.FIRST_ORDER, ModelKind.FIRST_ORDER)
print(fit.verdict, "-", fit.detail)
print(
    f"thin: {fit.first.values[1]:.4f} ± {fit.first.u[1]:.4f} s; thick: {fit.second.values[1]:.4f} ± {fit.second.u[1]:.4f} s"
)
assert fit.accepted
assert abs(fit.first.values[1] - 0.06) < 4 * fit.first.u[1]
assert abs(fit.second.values[1] - 0.15) < 4 * fit.second.u[1]

# %% Two of one size respond alike, and the answer is that there is none
same = fit_cross_relation(
    PairRecord(record.t_ns, seen[0], seen[0] + 0.05 * rng.normal(size=8000)), *2 * [ModelKind.FIRST_ORDER]
)
print(same.verdict, "-", same.detail)
assert same.first is None

figure, axes = plt.subplots()
show = slice(2000, 2300)
axes.plot(t_ns[::fine][show] * 1e-9, gas[::fine][show], "k", label="gas")
for y, name in zip(seen, ("thin", "thick"), strict=True):
    axes.plot(t_ns[::fine][show] * 1e-9, y[show], label=name)
axes.set(xlabel="time / s", ylabel="temperature / °C")
axes.legend()
figure.savefig("two_sensors.png")
