"""A calibration record with a reference: a thermometer in a stirred bath that is stepped up and down.

The reference has noise, its certificate an offset, and the two clocks may be apart. `fit_record` chooses the likelihood
that such a record needs, and says which.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np

from dyncal import AlignedRecord, ModelKind, RecordSettings, fit_record, model_of

rng = np.random.default_rng(2)
truth = np.array([1.0, 0.8])
t_ns = np.arange(6000, dtype=np.int64) * 10_000_000
smooth = 1 / (1 + np.exp(-(np.arange(6000)[:, None] - np.arange(300, 6000, 600)) / 12.0))
bath = 20 + 10 * (smooth @ (-1.0) ** np.arange(10))
indication = model_of(ModelKind.FIRST_ORDER).simulate(truth, t_ns, bath) + 0.02 * rng.normal(size=6000)
reference = bath + 0.005 * rng.normal(size=6000)

# %% What the reference's certificate says goes in
settings = RecordSettings(u_reference=0.01, u_reference_noise=0.005, u_clock_s=0.5e-3)
fit = fit_record(AlignedRecord(t_ns, indication, reference), ModelKind.FIRST_ORDER, settings=settings)
print(fit.verdict, "by", fit.method, "because", fit.reason)
for name, value, u in zip(fit.parameters.names, fit.parameters.values, fit.parameters.u, strict=True):
    print(f"{name} = {value:.5f} ± {u:.5f}")
assert fit.accepted, fit.detail
assert np.all(np.abs(fit.parameters.values - truth) < 4 * fit.parameters.u)

# %% Residuals are the first thing to look at
series = fit.series[0]
figure, (above, below) = plt.subplots(2, sharex=True)
t = (series.t_ns - series.t_ns[0]) * 1e-9
above.plot(t_ns * 1e-9, reference, label="reference")
above.plot(t, series.indication, label="indication")
above.plot(t, series.predicted, "--", label="model")
above.set(ylabel="temperature / °C")
above.legend()
below.plot(t, series.residual, ".", markersize=2)
below.set(xlabel="time / s", ylabel="residual / K")
figure.savefig("record.png")
