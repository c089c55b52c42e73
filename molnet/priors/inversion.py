"""Boltzmann inversion: the parameters of a potential of one coordinate from samples of it at a temperature."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import minimize
from scipy.signal import find_peaks

_POINTS = 2001
_NARROWEST = 1e-4  # Å or radians; coordinates that are constrained have no width
_WEAKEST = 1e-3  # of what the variance alone would give
_PENALTY = 1e-4
"""Of squared Fourier coefficients over kT, times n²: of no weight but where samples say nothing."""


def harmonic(
    samples: Float[ndarray, " samples"], kT: float, *, volume: str, upper: float = np.inf
) -> tuple[float, float]:
    """k and q₀ of p(q) ∝ J(q) exp[−k(q − q₀)²/2kT] with the samples' mean and variance: the maximum likelihood.

    The volume element J is r² of a distance (`radial`), sin θ of an angle (`polar`); 0 ≤ q ≤ upper.
    """
    middle, width = float(samples.mean()), max(float(samples.std()), _NARROWEST)
    low, high = max(middle - 12 * width, 0.0), min(middle + 12 * width, upper)
    q = np.linspace(low, high, _POINTS + 2)[1:-1]
    x, at_samples = (q - middle) / width, (samples - middle) / width
    features = np.stack([0.5 * x**2, x])
    means = np.array([0.5 * np.mean(at_samples**2), np.mean(at_samples)])
    curvature, slope = maximum_likelihood(
        means, features, LOG_VOLUME[volume](q), start=(1.0, 0.0), bounds=[(_WEAKEST, None), (None, None)]
    )
    return float(kT * curvature / width**2), float(middle - width * slope / curvature)


LOG_VOLUME: dict[str, Callable[[ndarray], ndarray]] = {
    "radial": lambda q: 2 * np.log(q),
    "polar": lambda q: np.log(np.sin(q)),
    "flat": np.zeros_like,
}
"""ln J of a distance, an angle, and a dihedral angle."""


def periodic(
    samples: Float[ndarray, " samples"], kT: float, *, terms: int
) -> tuple[Float[ndarray, " terms"], Float[ndarray, " terms"]]:
    """a_n and b_n of p(φ) ∝ exp[−Σ_n (a_n cos nφ + b_n sin nφ)/kT] with the samples' ⟨cos nφ⟩ and ⟨sin nφ⟩.

    Large coefficients of high n, for which there is no need, are penalised.
    """
    n = np.arange(1, terms + 1)[:, None]
    phi = np.linspace(-np.pi, np.pi, _POINTS)[:-1]
    features = np.concatenate([np.cos(n * phi), np.sin(n * phi)])
    means = np.concatenate([np.cos(n * samples).mean(axis=1), np.sin(n * samples).mean(axis=1)])
    penalty = _PENALTY * np.tile(n[:, 0], 2) ** 2
    found = maximum_likelihood(means, features, np.zeros_like(phi), start=np.zeros(2 * terms), penalty=penalty)
    return kT * found[:terms], kT * found[terms:]


def maximum_likelihood(
    means: Float[ndarray, " features"],
    features: Float[ndarray, "features points"],
    log_volume: Float[ndarray, " points"],
    *,
    start: Sequence[float] | ndarray,
    bounds: Sequence[tuple[float | None, float | None]] | None = None,
    penalty: Float[ndarray, " features"] | float = 0.0,
) -> Float[ndarray, " features"]:
    """λ of p(q) ∝ J(q) exp[−Σ λ_m f_m(q)]: the minimum of ln Z(λ) + λ·⟨f⟩ + ½ Σ penalty λ², which is convex."""

    def objective(parameters: ndarray) -> tuple[float, ndarray]:
        exponent = log_volume - parameters @ features
        top = exponent.max()
        weights = np.exp(exponent - top)
        total = weights.sum()
        value = top + np.log(total) + parameters @ means + 0.5 * np.sum(penalty * parameters**2)
        return float(value), means - features @ weights / total + penalty * parameters

    options = {"ftol": 1e-15, "gtol": 1e-10, "maxiter": 1000}
    found = minimize(objective, np.asarray(start), jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return np.asarray(found.x)


def peaks(samples: Float[ndarray, " samples"], *, depth: float = 0.2, deviations: float = 6.0) -> list[float]:
    """Where the density of the samples has peaks that are real: the highest, and others, in rising order.

    The density is a histogram smoothed by Gaussians of Silverman's width h. Between two peaks it has to fall by the
    fraction `depth` of the lower one, and by so many standard deviations √[p/(2√π N h)] of it.

    Source: B. W. Silverman, Density Estimation for Statistics and Data Analysis (1986), sections 3.3 and 3.4.
    """
    quartiles = np.percentile(samples, [25, 75])
    spread = min(float(samples.std()), float(np.ptp(quartiles)) / 1.34) or float(samples.std())
    if spread < _NARROWEST:
        return [float(samples.mean())]
    h = 0.9 * spread * len(samples) ** -0.2
    edges = np.arange(samples.min() - 5 * h, samples.max() + 5 * h, h / 8)
    counts = np.histogram(samples, edges)[0] / (len(samples) * h / 8)
    density = gaussian_filter1d(counts, 8.0, mode="constant")
    # Zeros at both ends let the highest peak have its whole height as prominence.
    places, found = find_peaks(np.concatenate([[0.0], density, [0.0]]), prominence=0.0)
    height = density[places - 1]
    noise = np.sqrt(height / (2 * np.sqrt(np.pi) * len(samples) * h))
    real = (found["prominences"] > depth * height) & (found["prominences"] > deviations * noise)
    real |= height == height.max()
    return [float(edges[place - 1] + h / 16) for place in places[real]]
