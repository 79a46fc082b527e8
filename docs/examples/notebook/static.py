"""A static calibration: indications and reference both uncertain, a polynomial with covariance, and its inverse."""

# %%
import matplotlib.pyplot as plt
import numpy as np

from dyncal import Pairs, fit_static

rng = np.random.default_rng(9)
pressure = np.linspace(0, 10, 21)
indication = 4 + 1.6 * pressure - 0.004 * pressure**2 + 0.004 * rng.normal(size=21)  # mA
stated = pressure + 0.003 * rng.normal(size=21)

# %%
calibration = fit_static(Pairs(indication, stated, u_y=0.004, u_x=0.003))
print(f"degree {calibration.degree}, chi2 {calibration.chi2:.1f} for {calibration.dof} degrees of freedom")
value, u = calibration.measurand(np.array([12.0, 16.0]), u_y=0.004)
print("12 mA and 16 mA are", value, "±", u, "bar")
back, u_back = calibration.indication(value)
assert np.allclose(back, [12.0, 16.0])

figure, axes = plt.subplots()
y = np.linspace(indication.min(), indication.max(), 200)
x, u_x = calibration.measurand(y)
straight = np.polyfit(indication, stated, 1)
axes.plot(y, x - np.polyval(straight, y), label="polynomial ± 2u")
axes.fill_between(y, x - np.polyval(straight, y) - 2 * u_x, x - np.polyval(straight, y) + 2 * u_x, alpha=0.3)
axes.errorbar(indication, stated - np.polyval(straight, indication), 0.01, fmt="ko", label="pairs")
axes.set(xlabel="indication / mA", ylabel="pressure less straight line / bar")
axes.legend()
figure.savefig("static.png")
