"""Whitening matrices of stacks of covariances, shape (groups, d, d), analytic so that a complex step goes through."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .._types import Array


class Step(NamedTuple):
    """One step of the coupled Newton-Schulz iteration: y -> y e, z -> e z."""

    y: Array
    z: Array
    e: Array


def transpose(a: Array) -> Array:
    """Transpose of every matrix of a stack."""
    return np.swapaxes(a, -1, -2)


def eigen(a: Array) -> tuple[Array, Array]:
    """Eigenvalues, ascending, and eigenvectors, in columns; float64, as LAPACK has it."""
    values, vectors = np.linalg.eigh(a.astype(np.float64))
    return values, vectors


def whitener(a: Array, method: str, iterations: int) -> Array:
    """Whitening matrix W of every matrix of the stack."""
    if method == "iternorm":
        trace = _trace(a)
        return newton_schulz(a / trace, iterations)[1] / np.sqrt(trace)
    if method == "cholesky":
        return _inverse_cholesky(a)
    if np.iscomplexobj(a):
        return _denman_beavers(a)
    values, vectors = eigen(a)
    return vectors / np.sqrt(values)[:, None, :] @ transpose(vectors)


def _inverse_cholesky(a: Array) -> Array:
    """Inverse of the lower Cholesky factor, column by column: symmetric, not hermitian."""
    d = a.shape[-1]
    factor, inverse = np.zeros_like(a), np.zeros_like(a)
    for j in range(d):
        rest = a[:, j:, j] - np.einsum("gik,gk->gi", factor[:, j:, :j], factor[:, j, :j])
        factor[:, j:, j] = rest / np.sqrt(rest[:, :1])
        unit = np.eye(d)[j]
        inverse[:, j] = (unit - np.einsum("gk,gki->gi", factor[:, j, :j], inverse[:, :j])) / factor[:, j, j, None]
    return inverse


def _denman_beavers(a: Array, steps: int = 40) -> Array:
    """a^-1/2 without eigenvectors: the iteration of Denman and Beavers, 1976."""
    y, z = a, np.broadcast_to(np.eye(a.shape[-1], dtype=a.dtype), a.shape)
    for _ in range(steps):
        y, z = (y + np.linalg.inv(z)) / 2, (z + np.linalg.inv(y)) / 2
    return z


def _trace(a: Array) -> Array:
    return np.asarray(np.trace(a, axis1=1, axis2=2)[:, None, None])


def newton_schulz(a: Array, iterations: int) -> tuple[list[Step], Array]:
    """Return the steps towards a^-1/2 of matrices whose eigenvalues are in (0, 1], and the result.

    The coupled form: equal to p <- 1.5 p - 0.5 p^3 a in exact arithmetic, and unlike it stable.
    """
    eye = np.eye(a.shape[-1])
    y, z = a, np.broadcast_to(eye, a.shape)
    steps = []
    for _ in range(iterations):
        steps.append(Step(y, z, 1.5 * eye - 0.5 * z @ y))
        y, z = y @ steps[-1].e, steps[-1].e @ z
    return steps, z


def newton_schulz_backward(d_matrix: Array, a: Array, iterations: int) -> Array:
    """Symmetric gradient of `a`, from the gradient of its whitening matrix by `iterations` steps."""
    trace = _trace(a)
    steps, z = newton_schulz(a / trace, iterations)
    dz, dy = d_matrix / np.sqrt(trace), np.zeros_like(d_matrix)
    for step in reversed(steps):
        de = transpose(step.y) @ dy + dz @ transpose(step.z)
        dy = dy @ transpose(step.e) - 0.5 * transpose(step.z) @ de
        dz = transpose(step.e) @ dz - 0.5 * de @ transpose(step.y)
    inner = 0.5 * d_matrix * z / np.sqrt(trace) + dy * a / trace
    d_trace = -np.sum(inner, axis=(1, 2), keepdims=True) / trace
    slope = dy / trace + d_trace * np.eye(a.shape[-1])
    return np.asarray((slope + transpose(slope)) / 2)
