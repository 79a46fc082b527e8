"""What machines call the parts of a certificate: refTypes, of PTB where it has one, of dyncal otherwise."""

from __future__ import annotations

from typing import Final

# PTB, DCC good practice, vocabulary "basic"
MEASURED: Final = "basic_measuredValue"
NOMINAL: Final = "basic_nominalValue"
REFERENCE_VALUE: Final = "basic_referenceValue"
ERROR: Final = "basic_measurementError"
CONFORMITY: Final = "basic_conformity"
TRACEABLE: Final = "basic_metrologicallyTraceableToSI"
METHOD: Final = "basic_calibrationMethod"
UNCERTAINTY_METHOD: Final = "basic_methodMeasurementUncertainty"
STANDARD: Final = "basic_measurementStandard"
TEMPERATURE: Final = "basic_temperature"
HUMIDITY: Final = "basic_humidityRelative"

PARAMETERS: Final = "dyncal_parameters"
RESPONSE: Final = "dyncal_frequencyResponse"
FREQUENCY: Final = "dyncal_frequency"
MAGNITUDE: Final = "dyncal_magnitude"
PHASE: Final = "dyncal_phase"
COMPLEX: Final = "dyncal_complexResponse"
FILTER: Final = "dyncal_correctionFilter"
SMOOTHER: Final = "dyncal_fixedLagSmoother"
LATENCY: Final = "dyncal_latency"
PRIOR: Final = "dyncal_measurandPrior"
DENSITY: Final = "dyncal_measurandDensity"
CORNER: Final = "dyncal_measurandCorner"
ORDER: Final = "dyncal_measurandOrder"
INTERVAL: Final = "dyncal_samplingInterval"
DELAY: Final = "dyncal_delay"
FIR: Final = "dyncal_firTaps"
SECTION: Final = "dyncal_secondOrderSection"
SENSITIVITY: Final = "dyncal_sensitivityBiquad"
U_NOISE: Final = "dyncal_noiseAfterFilter"
U_MODEL: Final = "dyncal_modelError"
BAND: Final = "dyncal_band"
DEVIATION: Final = "dyncal_deviation"
UNCORRECTED: Final = "dyncal_uncorrected"
AS_FOUND: Final = "dyncal_asFound"
AS_LEFT: Final = "dyncal_asLeft"
RMS: Final = "dyncal_rmsDeviation"
MAXIMUM: Final = "dyncal_largestDeviation"
SAMPLES: Final = "dyncal_numberOfSamples"
WINDOW: Final = "dyncal_dataWindow"
QUALITY: Final = "dyncal_fit"
MODEL_KIND: Final = "dyncal_modelKind"
REDUCED_CHI2: Final = "dyncal_reducedChiSquared"
WHITENESS: Final = "dyncal_whiteness"
NOISE: Final = "dyncal_noise"
SET: Final = "dyncal_coefficientSet"
LIMIT: Final = "dyncal_toleranceLimit"
PROBABILITY: Final = "dyncal_conformanceProbability"

NAMESPACE: Final = "dyncal"

MEANINGS: Final = {
    PARAMETERS: "physical parameters of the sensor with covariance matrix; labels are the names, with their units",
    RESPONSE: "frequency response of the sensor, indication over measurand, by the parameters",
    FREQUENCY: "frequencies of the frequency response",
    MAGNITUDE: "magnitude of the frequency response",
    PHASE: "phase of the frequency response; a lag of the indication is negative",
    COMPLEX: "frequency response by magnitude and phase, or real and imaginary part, with covariance at each frequency",
    FILTER: "filter that corrects samples of the indication: FIR taps, then second-order sections, at a declared delay",
    SMOOTHER: "fixed-lag smoother that corrects samples of the indication at instants of any spacing",
    LATENCY: "declared latency of the smoother, the sensor's dead time included",
    PRIOR: "kind of random process that the measurand is taken for",
    DENSITY: "two-sided spectral density of the measurand below its corner",
    CORNER: "corner of the measurand's spectrum, as angular frequency",
    ORDER: "order m of the measurand's spectrum, 1/(1 + (w/corner)^2m)",
    INTERVAL: "sampling interval of the filter, nominal for a smoother",
    DELAY: "declared delay of the filter in samples",
    FIR: "taps of the filter, the newest sample's first",
    SECTION: "second-order section b0 b1 b2 a0 a1 a2",
    SENSITIVITY: "biquad b0 b1 b2 a1 a2 (a0 = 1) from the corrected value to its derivative by a parameter",
    U_NOISE: "standard uncertainty of a corrected value from the sensor's noise",
    U_MODEL: "standard uncertainty of a corrected value from what the filter does not restore",
    BAND: "upper end of the band in which the correction is valid",
    DEVIATION: "deviation from the reference on data that the fit did not use",
    UNCORRECTED: "without correction",
    AS_FOUND: "before adjustment: with the coefficients that were active",
    AS_LEFT: "after adjustment: with the new coefficients",
    RMS: "root mean square of the deviation",
    MAXIMUM: "largest deviation in magnitude",
    SAMPLES: "number of samples",
    WINDOW: "first and last instant of the data of the fit",
    QUALITY: "residual statistics of the fit",
    MODEL_KIND: "kind of sensor model",
    REDUCED_CHI2: "residual variance over the variance expected",
    WHITENESS: "p-value of the residuals' whiteness (Ljung-Box)",
    NOISE: "standard deviation of the sensor's noise",
    SET: "identification of the coefficient set",
    LIMIT: "lower and upper tolerance limit",
    PROBABILITY: "probability that the true value conforms (JCGM 106, 7)",
}
