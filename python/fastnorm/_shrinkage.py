"""How far a covariance is drawn towards a multiple of the identity: the estimators of Ledoit, Wolf and of Chen et al.

Both come from sums that merge: with S the covariance of n samples of d features, divided by n, from ``tr S``,
``tr S^2`` and, for Ledoit and Wolf, the sum of ``|x - mean|^4``.
"""

from typing import Final

ESTIMATORS: Final = ("ledoit-wolf", "oas")


def oas(trace: float, square: float, samples: int, features: int) -> float:
    """Oracle approximating shrinkage: Chen, Wiesel, Eldar, Hero 2010, in the form that scikit-learn computes."""
    if features == 1:
        return 0.0
    alpha, mu_squared = square / features**2, (trace / features) ** 2
    denominator = (samples + 1.0) * (alpha - mu_squared / features)
    return 1.0 if denominator == 0.0 else min((alpha + mu_squared) / denominator, 1.0)


def ledoit_wolf(trace: float, square: float, fourth: float, samples: int, features: int) -> float:
    """The well-conditioned estimator of Ledoit and Wolf 2004."""
    if features == 1:
        return 0.0
    beta = (fourth / samples - square) / (features * samples)
    delta = (square - trace**2 / features) / features
    beta = min(beta, delta)
    return 0.0 if beta <= 0.0 else beta / delta
