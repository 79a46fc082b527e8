"""A calibration as a digital calibration certificate, written and read again."""

# %%
import datetime

import matplotlib.pyplot as plt
import numpy as np

from dyncal import ModelKind, Parameters, Verdict, certificate_of, certified, read_certificate, write_certificate
from dyncal.certificates.calibration import Evidence
from dyncal.certificates.document import Administration, Contact, Person
from dyncal.domain.calibration import Calibration
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs

u = np.array([0.002, 0.004])
parameters = Parameters(ModelKind.FIRST_ORDER, ("gain", "tau_s"), np.array([0.998, 0.812]), np.diag(u**2))
hour_ns = 3600 * 10**9
calibration = Calibration(
    id="cal-0042", sensor=SensorId("TC-102"), reference=SensorId("TC-REF"), parameters=parameters,
    verdict=Verdict.ACCEPTED, unobservable=(), reduced_chi2=1.02, whiteness_p=0.4, noise_std=0.02, n_samples=360_000,
    window_from_ns=InstantNs(0), window_to_ns=InstantNs(hour_ns), fitted_at_ns=InstantNs(hour_ns), method="innovations form",
)  # fmt: skip

# %% Dates are given, nothing reads a clock: the same calibration gives the same bytes
day = datetime.date(2026, 11, 22)
plant = Contact("Example plant", city="Braunschweig", country="DE")
administration = Administration(
    "DYN-2026-0042", "DE", day, day, plant, (Person("A. Metrologist", main_signer=True),), plant
)
evidence = Evidence(calibration, indication_unit="Cel", measurand_unit="Cel", dt_ns=10_000_000)
xml = write_certificate(certificate_of(evidence, administration))
print(xml.decode()[:400], "...")

# %% Read by anyone with the schema, and by us to the last digit
again = certified(read_certificate(xml))
assert np.array_equal(again.parameters.values, parameters.values)
assert np.allclose(again.parameters.cov, parameters.cov, rtol=1e-12, atol=0)

figure, axes = plt.subplots()
magnitude = np.abs(again.response)
axes.semilogx(again.f_hz, magnitude)
axes.fill_between(
    again.f_hz,
    magnitude - 2 * np.sqrt(again.cov_response[:, 0, 0]),
    magnitude + 2 * np.sqrt(again.cov_response[:, 0, 0]),
    alpha=0.3,
)
axes.set(xlabel="frequency / Hz", ylabel="magnitude", title="as the certificate states it")
figure.savefig("certificate.png")
