"""Batch whitening in PyTorch, by the formulas of fastnorm.reference: data in their own type, small matrices in float64.

Products over the samples are summed in the type of the data, as PyTorch's users do it, which costs digits where the
covariance is ill-conditioned; or, as fastnorm does it, in float64.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import torch

Tensor: TypeAlias = torch.Tensor
EPS = 1e-5


class Saved(NamedTuple):
    """What the backward needs: mean, W, its covariance with eps, the spectrum or the steps."""

    mean: Tensor
    matrix: Tensor
    covariance: Tensor
    spectrum: Any
    method: str
    wide: bool


def _split(x: Tensor, groups: int) -> Tensor:
    """(N, C, ...) to (groups, d, m)."""
    return x.transpose(0, 1).reshape(groups, x.shape[1] // groups, -1)


def _join(parts: Tensor, shape: torch.Size) -> Tensor:
    return parts.reshape(shape[1], shape[0], *shape[2:]).transpose(0, 1).contiguous()


def _newton_schulz(a: Tensor, iterations: int) -> tuple[list[tuple[Tensor, Tensor, Tensor]], Tensor]:
    eye = torch.eye(a.shape[-1], dtype=a.dtype)
    y, z, steps = a, eye.expand_as(a), []
    for _ in range(iterations):
        e = 1.5 * eye - 0.5 * z @ y
        steps.append((y, z, e))
        y, z = y @ e, e @ z
    return steps, z


def _products(a: Tensor, b: Tensor, wide: bool) -> Tensor:
    return a.double() @ b.double().mT if wide else (a @ b.mT).double()


def forward(x: Tensor, groups: int, method: str, wide: bool, iterations: int = 5) -> tuple[Tensor, Saved]:
    parts = _split(x, groups)
    mean = parts.mean(2, keepdim=True)
    centred = parts - mean
    covariance = _products(centred, centred, wide) / parts.shape[2]
    covariance = covariance + EPS * torch.eye(covariance.shape[-1], dtype=covariance.dtype)
    spectrum: Any = None
    if method == "zca":
        spectrum = values, vectors = torch.linalg.eigh(covariance)
        matrix = vectors / values.sqrt()[:, None, :] @ vectors.mT
    elif method == "cholesky":
        lower = torch.linalg.cholesky(covariance)
        eye = torch.eye(lower.shape[-1], dtype=lower.dtype).expand_as(lower)
        matrix = torch.linalg.solve_triangular(lower, eye, upper=False)
    else:
        trace = covariance.diagonal(dim1=1, dim2=2).sum(1)[:, None, None]
        spectrum, z = _newton_schulz(covariance / trace, iterations)
        matrix = z / trace.sqrt()
    y = matrix.to(x.dtype) @ centred
    return _join(y, x.shape), Saved(mean, matrix, covariance, spectrum, method, wide)


def backward(dy: Tensor, x: Tensor, saved: Saved) -> tuple[Tensor, Tensor, Tensor]:
    w, m = saved.matrix, x.numel() // x.shape[1]
    centred = _split(x, len(w)) - saved.mean
    g = _split(dy, len(w))
    dbias = g.sum(2, keepdim=True)
    direct = g - dbias / m
    if saved.method == "iternorm":
        product = _products(g, centred, saved.wide)
        slope = _newton_schulz_backward(product, saved.covariance, saved.spectrum)
        dx = w.mT.to(x.dtype) @ direct + (2 / m * slope).to(x.dtype) @ centred
        dweight = (product * w).sum(2)
    else:
        y = w.to(x.dtype) @ centred
        product = _products(g, y, saved.wide)
        dweight = product.diagonal(dim1=1, dim2=2)
        t = _symmetric_part(product, saved)
        dx = w.mT.to(x.dtype) @ (direct - (t / m).to(x.dtype) @ y)
    return _join(dx, x.shape), dweight.reshape(-1).to(x.dtype), dbias.reshape(-1)


def _symmetric_part(product: Tensor, saved: Saved) -> Tensor:
    if saved.method == "cholesky":
        return product.tril() + product.tril(-1).mT
    values, u = saved.spectrum
    roots = values.sqrt()
    rows, columns = roots[:, :, None], roots[:, None, :]
    rotated = u.mT @ product @ u
    return u @ ((columns * rotated + rows * rotated.mT) / (rows + columns)) @ u.mT


def _newton_schulz_backward(d_matrix: Tensor, a: Tensor, steps: Any) -> Tensor:
    trace = a.diagonal(dim1=1, dim2=2).sum(1)[:, None, None]
    last = steps[-1]
    z = last[2] @ last[1]
    dz, dy = d_matrix / trace.sqrt(), torch.zeros_like(d_matrix)
    for y_k, z_k, e in reversed(steps):
        de = y_k.mT @ dy + dz @ z_k.mT
        dy = dy @ e.mT - 0.5 * z_k.mT @ de
        dz = e.mT @ dz - 0.5 * de @ y_k.mT
    inner = 0.5 * d_matrix * z / trace.sqrt() + dy * a / trace
    slope = dy / trace - inner.sum((1, 2), keepdim=True) / trace * torch.eye(a.shape[-1], dtype=a.dtype)
    return (slope + slope.mT) / 2
