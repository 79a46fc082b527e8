"""No reference and no second sensor: heat a resistance thermometer by its own current and watch it come to rest."""

# %%
import matplotlib.pyplot as plt
import numpy as np

from dyncal import LoopCurrentSettings, StepRecord, fit_loop_current
from dyncal.identification.in_situ.conduction import Body, modes

rng = np.random.default_rng(5)
ratio, share = modes(Body.CYLINDER, np.log(4.0), 0.2)
t_ns = np.arange(1500, dtype=np.int64) * 20_000_000
t = t_ns * 1e-9
records = []
for rise in (0.9, -0.9, 0.8):  # current up, down, up
    y = 290 + rise * (1 - np.exp(-t[:, None] / (4.0 * ratio)) @ share)
    records.append(StepRecord(t_ns, y + 0.01 * rng.normal(size=t.size), step_ns=0))

# %% From the modes of heating follows the response to a plunge
fit = fit_loop_current(records, LoopCurrentSettings(skip_s=0.02))
print(fit.verdict, "-", fit.detail)
print(f"63.2 % of a plunge in {fit.tau_s:.2f} ± {fit.u_tau_s:.2f} s, of which the method's own 5.8 %")
assert fit.accepted
assert 4.5 < fit.tau_s < 6.5

figure, axes = plt.subplots()
for record in records:
    axes.plot(t, record.indication, ".", markersize=2)
axes.set(xlabel="time since the step / s", ylabel="indication / °C", title=f"{fit.structure}, plunge {fit.tau_s:.2f} s")
figure.savefig("loop_current.png")
