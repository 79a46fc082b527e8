"""Filters whose coefficients are uncertain: an FIR low-pass and a recursive inverse, streamed in pieces of any size."""

# %%
import matplotlib.pyplot as plt
import numpy as np
from scipy.signal import firwin

from dyncal import UncertainFIR, UncertainIIR

rng = np.random.default_rng(10)
x = np.sin(2 * np.pi * np.arange(2000) / 150) + 0.02 * rng.normal(size=2000)

# %% Taps with a covariance, noise of 0.02 in the input
taps = firwin(33, 0.1)
low_pass = UncertainFIR(taps, np.diag((0.01 * taps) ** 2), u_x=0.02)
y, u = low_pass.process(x)

# %% The same cut into pieces is the same to the last bit
again = UncertainFIR(taps, np.diag((0.01 * taps) ** 2), u_x=0.02)
pieces = [again.process(part) for part in np.split(x, [1, 8, 700])]
assert np.array_equal(np.concatenate([p[1] for p in pieces]), u, equal_nan=True)

# %% A recursive filter with uncertain poles
b, a = np.array([0.02]), np.array([1.0, -1.85, 0.87])
recursive = UncertainIIR(b, a, np.diag([1e-3, 1e-3, 1e-4]) ** 2, u_x=0.02)
z, u_z = recursive.process(x)
print(f"u: {np.nanmean(u):.4f} of the FIR filter, {np.nanmin(u_z):.4f} to {np.nanmax(u_z):.4f} of the recursive one")
assert np.nanmax(u_z) > np.nanmin(u_z)

figure, axes = plt.subplots()
k = np.arange(2000)
axes.plot(k, x, color="0.8", label="input")
axes.plot(k, z, label="recursive ± 2u")
axes.fill_between(k, z - 2 * u_z, z + 2 * u_z, alpha=0.3)
axes.set(xlabel="sample", xlim=(400, 800))
axes.legend()
figure.savefig("uncertain_filters.png")
