"""Laboratory calibrations: what a certificate states of a sensor's frequency response, and the model fitted to it."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from dyncal.domain.coefficients import Parameters
from dyncal.domain.samples import FloatArray
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs


class Signature(enum.StrEnum):
    """What is known of the signature of a file when it came."""

    VERIFIED = "verified"
    """The file is as a laboratory signed it whose certificate a trusted authority has issued."""

    NOT_SIGNED = "not_signed"
    NOT_VERIFIED = "not_verified"
    """It is signed, or may be; nobody has looked, for there was no trusted authority to look with."""

    INVALID = "invalid"
    """It is signed, and was changed since, or by nobody whom a trusted authority knows."""


@dataclass(frozen=True, slots=True, eq=False)
class LaboratoryCalibration:
    """Points of one laboratory, and the parameters that an accepted fit gave.

    Attributes
    ----------
    laboratory, certificate : str
        Who calibrated, and the number of the certificate.
    calibrated_ns, added_ns : int
        When the laboratory measured, and when the points came here.
    f_hz : float64, shape (n,)
    response : float64, shape (n, 2)
        Real and imaginary part; a lag of the indication has a negative phase.
    cov : float64, shape (n, 2, 2) or (2n, 2n)
        In (Re, Im) where `form` is ``complex``, in (ln magnitude, phase [rad]) where it is ``polar``.
    u_magnitude : float
        Relative standard uncertainty of a magnitude factor that all points share.
    u_delay_s : float
        Standard uncertainty of a time offset that all points share [s].
    parameters : Parameters
        θ̂ with covariance, these shared contributions included.
    chi2, dof, p_value : float, int, float
        How the points scatter about the model, against what they say of themselves.
    detail : str
        How the model was chosen, for people.
    media_type, sha256 : str
        Of the file that came, which the registry keeps.
    signature, signer, signature_detail : Signature, str, str
        What was known of its signature then; whose it is (subject of the X.509 certificate) where it is verified, and
        otherwise why it is not.
    """

    id: str
    sensor: SensorId
    laboratory: str
    certificate: str
    calibrated_ns: InstantNs
    added_ns: InstantNs
    f_hz: FloatArray
    response: FloatArray
    cov: FloatArray
    form: str
    u_magnitude: float
    u_delay_s: float
    parameters: Parameters
    chi2: float
    dof: int
    p_value: float
    detail: str
    media_type: str
    sha256: str
    signature: Signature = Signature.NOT_VERIFIED
    signer: str = ""
    signature_detail: str = ""
