"""The error of a covariance that cannot be inverted: what is wrong with it, and what would help."""

from typing import TYPE_CHECKING, Final

import numpy as np

from ._spectra import Form, Ridge, Rows, correlation
from ._types import Array

if TYPE_CHECKING:
    from ._whiteners import Options

_UNIT: Final = 2.0**-52
_NAMED: Final = 6  # features, at most
_SEARCHED: Final = 1024  # features among which those are looked for that follow from others


def deficient(
    form: Form, options: "Options", ridge: Ridge, exponent: int, rank: int | None = None
) -> np.linalg.LinAlgError:
    """Of this rank if it is known."""
    d, n = len(form.variances), form.samples
    found, wanted = "", options.n_components or d
    if n <= d and (rank is None or rank < n):
        found = f"{n} samples of {d} features have rank {n - 1 if rank is None else rank}"
    elif isinstance(form, Rows) or d > _SEARCHED:
        found = f"rank {rank} of {d} features" if rank is not None else f"{d} features follow from each other"
    else:
        constant, following = _following(form.covariance)
        parts = [f"{_named(constant)} constant"] if constant else []
        if following:
            parts.append(f"{_named(following)} determined by the features before")
        found = f"rank {d - len(constant) - len(following)} of {d} features"
        if parts:
            found += f" ({'; '.join(parts)})"
    helps = [f"eps >= {_least_eps(form, options, exponent):.1g}"]
    if options.method.startswith("pca") and rank and wanted > rank:
        helps.append(f"n_components <= {rank}")
    if form.solver == "covariance" and n > d:
        helps.append('solver="qr" if the features do differ')
    more = "eps > 0, here" if ridge.added == 0.0 else "a larger eps, here"
    return np.linalg.LinAlgError(f"the covariance has no full rank: {found}; pass {more} {', or '.join(helps)}")


def deficient_group(covariances: Array, correlated: bool) -> np.linalg.LinAlgError:
    """Of a stack of covariances, one of which cannot be inverted; correlations count where units do not matter."""
    d = covariances.shape[-1]
    judged = [correlation(one)[0] for one in covariances] if correlated else covariances
    values = np.linalg.eigvalsh(np.array(judged))
    group = int(np.argmin(values[:, 0] - d * _UNIT * values[:, -1]))
    rank = int(np.count_nonzero(values[group] > d * _UNIT * values[group, -1]))
    least = max(2.0 * d * _UNIT * float(np.trace(covariances[group])), float(np.finfo(float).tiny))
    of = f"rank {rank} of {d} channels" + (f" in group {group}" if len(covariances) > 1 else "")
    return np.linalg.LinAlgError(f"the covariance has no full rank: {of}; pass a larger eps, here eps >= {least:.1g}")


def _least_eps(form: Form, options: "Options", exponent: int) -> float:
    """The least that makes the smallest eigenvalue more than rounding."""
    d = len(form.variances)
    most = float(form.variances.max()) if options.triangular else float(form.variances.sum())
    unit = d * _UNIT if form.solver != "qr" or not options.triangular else (8 * d * _UNIT) ** 2
    least = 2.0 * unit * most
    if not options.correlated:
        least = float(np.ldexp(least, 2 * exponent))
    return least if least > 0.0 else float(np.finfo(float).tiny)


def _following(covariance: Array) -> tuple[list[int], list[int]]:
    """Features that are constant, and those that have no variance of their own behind the features before them."""
    d, variances = len(covariance), np.diag(covariance)
    std = np.sqrt(np.where(variances > 0.0, variances, 1.0))
    rest = covariance / std / std[:, None]
    constant, following = [], []
    for j in range(d):
        if variances[j] == 0.0:
            constant.append(j)
        elif rest[j, j] <= 8 * d * _UNIT:
            following.append(j)
        else:
            column = rest[j + 1 :, j] / rest[j, j]
            rest[j + 1 :, j + 1 :] -= column[:, None] * rest[j, j + 1 :]
    return constant, following


def _named(features: list[int]) -> str:
    names = ", ".join(map(str, features[:_NAMED]))
    more = f" and {len(features) - _NAMED} more" if len(features) > _NAMED else ""
    return f"feature{'s' if len(features) > 1 else ''} {names}{more} {'are' if len(features) > 1 else 'is'}"
