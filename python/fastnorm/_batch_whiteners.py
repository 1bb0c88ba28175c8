"""Whitening matrices of batches and the way back through them: stacks of covariances in float64, one per group.

With g the gradient of the whitened data Y, the input gradient of every method is

    dx = W' (g - mean(g)) + C (x - mean)

and `through_statistics` returns C. No eigenvalues are subtracted on the way, so equal ones do no harm.
"""

from typing import Final, Literal, NamedTuple, TypeAlias

import numpy as np

from . import _rank, _roots
from ._features import gram, product, transpose
from ._types import Array, BatchWhiteningSaved

BatchMethod: TypeAlias = Literal["zca", "cholesky", "iternorm"]

METHODS: Final = ("zca", "cholesky", "iternorm")


class Root(NamedTuple):
    """Whitening matrices, the covariances with eps on the diagonal, and the spectrum where it was found on the way."""

    matrix: Array
    covariance: Array
    eigenvalues: Array | None = None
    eigenvectors: Array | None = None


class Step(NamedTuple):
    """One step of the coupled Newton-Schulz iteration: y -> y e, z -> e z."""

    y: Array
    z: Array
    e: Array


def root(covariance: Array, method: str, iterations: int, eps: float) -> Root:
    """Whiten ``covariance + eps I``. A group with a value that is not finite becomes NaN, and no other notices."""
    lost = np.asarray(~np.isfinite(covariance).all(axis=(1, 2)))
    if lost.any():
        covariance = np.where(lost[:, None, None], np.eye(covariance.shape[-1]), covariance)
    result = _root(covariance, method, iterations, eps)
    if lost.any():
        for array in result:
            if array is not None:
                array[lost] = np.nan
    return result


def _root(covariance: Array, method: str, iterations: int, eps: float) -> Root:
    d = covariance.shape[-1]
    total = covariance + eps * np.eye(d)
    if method == "cholesky":
        return Root(_roots.inverse_lower(_roots.factor(covariance, eps)), total)
    if method == "iternorm":
        trace = _trace(total)
        if not trace.all():
            raise _rank.deficient_group(total, correlated=False)
        return Root(_newton_schulz(total / trace, iterations) / np.sqrt(trace), total)
    values, vectors = _roots.spectrum(covariance, eps)
    if eps == 0.0 and (values[:, 0] <= d * 2.0**-52 * values[:, -1]).any():
        raise _rank.deficient_group(total, correlated=False)
    fourth = np.sqrt(np.sqrt(values))  # a Gram matrix of fourth roots is symmetric to the last bit
    return Root(gram(vectors / fourth[:, None, :]), total, values, vectors)


def through_statistics(saved: BatchWhiteningSaved, d_matrix: Array, samples: int) -> Array:
    """C from the gradient of the whitening matrices, ``g (x - mean)'`` summed over the samples."""
    w = saved.matrix
    if saved.method == "iternorm":
        return _newton_schulz_backward(d_matrix, saved) * (2.0 / samples)
    m = product(d_matrix, transpose(w))  # g Y'
    if saved.method == "cholesky":
        t = np.tril(m) + transpose(np.tril(m, -1))
    else:
        assert saved.eigenvalues is not None
        assert saved.eigenvectors is not None
        u, roots = saved.eigenvectors, np.sqrt(saved.eigenvalues)
        rows, columns = roots[:, :, None], roots[:, None, :]
        rotated = product(product(transpose(u), m), u)
        mixed = (columns * rotated + rows * transpose(rotated)) / (rows + columns)
        t = product(product(u, mixed), transpose(u))
    return product(product(transpose(w), t), w) * (-1.0 / samples)


def _trace(a: Array) -> Array:
    return np.asarray(np.trace(a, axis1=1, axis2=2)[:, None, None])


def _newton_schulz(a: Array, iterations: int) -> Array:
    """An approximation of a^-1/2 of matrices whose eigenvalues are in (0, 1]."""
    steps = _steps(a, iterations)
    if not steps:
        return np.array(np.broadcast_to(np.eye(a.shape[-1]), a.shape))
    return product(steps[-1].e, steps[-1].z)


def _steps(a: Array, iterations: int) -> list[Step]:
    """The coupled form: equal to ``p <- 1.5 p - 0.5 p^3 a`` in exact arithmetic, and unlike it stable."""
    eye = np.eye(a.shape[-1])
    if not iterations:
        return []
    # The first z is the identity, which products of it need not be computed with.
    steps = [Step(a, np.broadcast_to(eye, a.shape), 1.5 * eye - 0.5 * a)]
    for k in range(1, iterations):
        last = steps[-1]
        y, z = product(last.y, last.e), last.e if k == 1 else product(last.e, last.z)
        steps.append(Step(y, z, 1.5 * eye - 0.5 * product(z, y)))
    return steps


def _newton_schulz_backward(d_matrix: Array, saved: BatchWhiteningSaved) -> Array:
    """Symmetric gradient of the covariance, from the gradient of its whitening matrix."""
    a, trace = saved.covariance, _trace(saved.covariance)
    dz, dy = d_matrix / np.sqrt(trace), np.zeros_like(d_matrix)
    steps = _steps(a / trace, saved.iterations)
    for k in reversed(range(len(steps))):
        step = steps[k]
        behind = k < len(steps) - 1  # dy is zero behind the last step
        de = dz if k == 0 else product(dz, transpose(step.z))
        if behind:
            de = product(transpose(step.y), dy) + de
            dy = product(dy, transpose(step.e))
        dy = dy - 0.5 * (de if k == 0 else product(transpose(step.z), de))
        if k > 0:  # before the first it is not asked for
            dz = product(transpose(step.e), dz) - 0.5 * product(de, transpose(step.y))
    inner = 0.5 * d_matrix * saved.matrix + dy * a / trace
    d_trace = -inner.sum(axis=(1, 2), keepdims=True) / trace
    slope = dy / trace + d_trace * np.eye(a.shape[-1])
    return np.asarray((slope + transpose(slope)) / 2.0)
