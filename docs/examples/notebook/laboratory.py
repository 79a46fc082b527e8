"""A laboratory's frequency response becomes parameters with covariance.

Two laboratories measured one accelerometer on their shakers, one in degrees with the lag negative, the other the other
way round. Both have a systematic part of their own in the magnitude.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np

from dyncal import FrequencyPoints, ModelKind, fit_frequency_response, model_of
from dyncal.identification.frequency_response import FrequencyFitSettings, PhaseSign

truth = np.array([0.102, 0.015, 31_500.0])  # V/(m/s²), damping, Hz
rng = np.random.default_rng(1)
model = model_of(ModelKind.SECOND_ORDER)


def measured(f_hz, u_common, phase_sign, name):
    response = model.frequency_response(truth, f_hz)
    scale = 1 + u_common * rng.normal()
    magnitude = np.abs(response) * scale * (1 + 0.003 * rng.normal(size=f_hz.size))
    lag = np.degrees(np.angle(response)) + 0.3 * rng.normal(size=f_hz.size)
    return FrequencyPoints.from_magnitude_phase(
        f_hz, magnitude, lag if phase_sign is PhaseSign.LAG_NEGATIVE else -lag, 0.003 * magnitude, np.full(f_hz.size, 0.3),
        phase_sign=phase_sign, u_common_magnitude=u_common, laboratory=name,
    )  # fmt: skip


# %% Points of both, each with its own uncertainties and convention
first = measured(np.geomspace(500, 20_000, 49), 0.002, PhaseSign.LAG_NEGATIVE, "first")
second = measured(np.geomspace(1_000, 45_000, 17), 0.01, PhaseSign.LAG_POSITIVE, "second")

# %% One fit, in which the laboratories' scales are parameters with priors
expected = {"gain": (0.05, 0.2), "damping": (1e-3, 0.5), "f0_hz": (1e4, 1e5)}  # from the data sheet
fit = fit_frequency_response([first, second], ModelKind.SECOND_ORDER, settings=FrequencyFitSettings(expected=expected))
print(fit.table())
assert fit.accepted, fit.detail
for name, value, u in zip(fit.parameters.names, fit.parameters.values, fit.parameters.u, strict=True):
    print(f"{name} = {value:.6g} ± {u:.2g}")
assert np.all(np.abs(fit.parameters.values - truth) < 4 * fit.parameters.u)

# %% The response with its band
f = np.geomspace(500, 45_000, 400)
response, cov = fit.response(f)
magnitude = np.abs(response)
real, imag = response.real, response.imag
variance = real**2 * cov[:, 0, 0] + imag**2 * cov[:, 1, 1] + 2 * real * imag * cov[:, 0, 1]
u_magnitude = np.sqrt(variance) / magnitude
figure, axes = plt.subplots()
axes.loglog(f, magnitude, label="fit")
axes.fill_between(f, magnitude - 2 * u_magnitude, magnitude + 2 * u_magnitude, alpha=0.3, label="± 2u")
for points in (first, second):
    axes.loglog(points.f_hz, np.abs(points.response), ".", label=f"{points.laboratory} laboratory")
axes.set(xlabel="frequency / Hz", ylabel="magnitude / V/(m/s²)")
axes.legend()
figure.savefig("laboratory.png")
