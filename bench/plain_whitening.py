"""Whitening as a NumPy user writes it, in the dtype of the data: a part of plain_numpy.py."""

from typing import NamedTuple

import numpy as np

from fastnorm import Gradients
from problems import Array


class Saved(NamedTuple):
    """What the backward needs; matrices by group."""

    mean: Array
    matrix: Array
    values: Array
    vectors: Array
    axis: int
    groups: int
    method: str


class Forward(NamedTuple):
    """Output of batch whitening and what its backward needs."""

    y: Array
    saved: Saved


def whiten(x: Array, *, method: str, eps: float) -> Array:
    """Whiten samples in rows."""
    centred = x - x.mean(axis=0)
    covariance = centred.T @ centred / np.asarray(len(x) - 1, x.dtype)
    return np.asarray(centred @ _matrix(covariance[None], method, eps)[0][0].T)


def batch_whitening_forward(
    x: Array, weight: None, *, axis: int, groups: int, method: str, eps: float = 1e-5
) -> Forward:
    """Batch whitening without weight and bias."""
    parts = _split(x, axis, groups)
    mean = parts.mean(axis=2, keepdims=True)
    centred = parts - mean
    covariance = centred @ centred.transpose(0, 2, 1) / np.asarray(parts.shape[2], x.dtype)
    matrix, values, vectors = _matrix(covariance, method, eps)
    y = _join(matrix @ centred, x.shape, axis)
    return Forward(y, Saved(mean, matrix, values, vectors, axis, groups, method))


def batch_whitening_backward(dy: Array, x: Array, weight: None, saved: Saved) -> Gradients:
    """Gradients of batch whitening."""
    g = _split(dy, saved.axis, saved.groups)
    y = saved.matrix @ (_split(x, saved.axis, saved.groups) - saved.mean)
    product, samples = g @ y.transpose(0, 2, 1), np.asarray(y.shape[2], x.dtype)
    if saved.method == "cholesky":
        t = np.tril(product) + np.tril(product, -1).transpose(0, 2, 1)
    else:
        roots, vectors = np.sqrt(saved.values), saved.vectors
        rows, columns = roots[:, :, None], roots[:, None, :]
        rotated = vectors.transpose(0, 2, 1) @ product @ vectors
        mixed = (columns * rotated + rows * rotated.transpose(0, 2, 1)) / (rows + columns)
        t = vectors @ mixed @ vectors.transpose(0, 2, 1)
    dx = saved.matrix.transpose(0, 2, 1) @ (g - g.mean(axis=2, keepdims=True) - t @ y / samples)
    dweight = product.diagonal(axis1=1, axis2=2)
    return Gradients(_join(dx, x.shape, saved.axis), dweight.ravel(), g.sum(axis=2).ravel())


def _matrix(covariance: Array, method: str, eps: float) -> tuple[Array, Array, Array]:
    """Whitening matrices, eigenvalues and eigenvectors."""
    total = covariance + np.asarray(eps, covariance.dtype) * np.eye(covariance.shape[-1], dtype=covariance.dtype)
    if method == "cholesky":
        return np.linalg.inv(np.linalg.cholesky(total)), covariance, covariance
    values, vectors = np.linalg.eigh(total)
    return vectors / np.sqrt(values)[:, None, :] @ vectors.transpose(0, 2, 1), values, vectors


def _split(x: Array, axis: int, groups: int) -> Array:
    return np.moveaxis(x, axis, 0).reshape(groups, x.shape[axis] // groups, -1)


def _join(parts: Array, shape: tuple[int, ...], axis: int) -> Array:
    axis %= len(shape)
    return np.moveaxis(parts.reshape(shape[axis], *shape[:axis], *shape[axis + 1 :]), 0, axis)
