"""Noise that is not white: models of it in state space, their choice from residuals, and whitening by them."""

from __future__ import annotations

from dyncal.identification.coloured.choice import Residuals, noise_of
from dyncal.identification.coloured.models import Autoregression, Noise, Relaxation, Through
from dyncal.identification.coloured.whitening import Whitener

__all__ = ["Autoregression", "Noise", "Relaxation", "Residuals", "Through", "Whitener", "noise_of"]
