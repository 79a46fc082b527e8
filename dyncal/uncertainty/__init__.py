"""Propagation of distributions by Monte Carlo, and validation of the law of propagation (JCGM 101 and 102)."""

from __future__ import annotations

from dyncal.uncertainty.filters import filter_monte_carlo
from dyncal.uncertainty.inputs import (
    Arcsine,
    Distribution,
    Independent,
    MultivariateNormal,
    Normal,
    StudentT,
    Trapezoidal,
)
from dyncal.uncertainty.linear import gum, propagate
from dyncal.uncertainty.procedure import Model, Simulation, monte_carlo, simulate, simulation_of
from dyncal.uncertainty.regions import Regions, coverage_regions
from dyncal.uncertainty.response import Parts, response_model, response_monte_carlo, transform_monte_carlo
from dyncal.uncertainty.result import MonteCarloResult
from dyncal.uncertainty.settings import Interval, MonteCarloSettings
from dyncal.uncertainty.validation import GumResult, Validation, numerical_tolerance, validate

__all__ = [
    "Arcsine",
    "Distribution",
    "GumResult",
    "Independent",
    "Interval",
    "Model",
    "MonteCarloResult",
    "MonteCarloSettings",
    "MultivariateNormal",
    "Normal",
    "Parts",
    "Regions",
    "Simulation",
    "StudentT",
    "Trapezoidal",
    "Validation",
    "coverage_regions",
    "filter_monte_carlo",
    "gum",
    "monte_carlo",
    "numerical_tolerance",
    "propagate",
    "response_model",
    "response_monte_carlo",
    "simulate",
    "simulation_of",
    "transform_monte_carlo",
    "validate",
]
