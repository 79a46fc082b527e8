"""One sensor, several conditions: the time constant of a thermowell as a function of the flow around it."""

# %%
import matplotlib.pyplot as plt
import numpy as np

from dyncal import Axis, CalibrationAt, InvalidData, ModelKind, Parameters, fit_schedule
from dyncal.models.axes import Transform

rng = np.random.default_rng(8)
flows = np.array([0.3, 0.5, 0.8, 1.3, 2.0, 3.2])
calibrations = []
for flow in flows:
    tau = 2.0 + 6.0 * flow**-0.6  # the film resists less where the flow is faster
    u = np.array([0.001, 0.01 * tau])
    theta = np.array([1.0, tau]) + u * rng.normal(size=2)
    parameters = Parameters(ModelKind.FIRST_ORDER, ("gain", "tau_s"), theta, np.diag(u**2))
    calibrations.append(CalibrationAt({"flow_m_per_s": flow}, parameters, {"flow_m_per_s": 0.01 * flow}))

# %%
schedule = fit_schedule((Axis("flow_m_per_s", Transform.LOG),), calibrations)
here = schedule.at({"flow_m_per_s": 1.0}, {"flow_m_per_s": 0.05})
print(f"at 1.0 ± 0.05 m/s: tau_s = {here.values[1]:.3f} ± {here.u[1]:.3f}, truth 8.000")
assert abs(here.values[1] - 8.0) < 4 * here.u[1]

# %% Outside the conditions that were calibrated there is no answer
try:
    schedule.at({"flow_m_per_s": 10.0})
except InvalidData as refused:
    print("refused:", refused)
else:
    raise AssertionError("it has extrapolated")

figure, axes = plt.subplots()
x = np.geomspace(0.3, 3.2, 100)
curve = [schedule.at({"flow_m_per_s": float(flow)}) for flow in x]
tau, u = np.array([c.values[1] for c in curve]), np.array([c.u[1] for c in curve])
axes.semilogx(x, tau, label="schedule ± 2u")
axes.fill_between(x, tau - 2 * u, tau + 2 * u, alpha=0.3)
axes.errorbar(
    flows,
    [c.parameters.values[1] for c in calibrations],
    [2 * c.parameters.u[1] for c in calibrations],
    fmt="ko",
    label="calibrations",
)
axes.set(xlabel="flow / (m/s)", ylabel="time constant / s")
axes.legend()
figure.savefig("schedule.png")
