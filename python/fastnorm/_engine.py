"""What all operations do: check the arguments they share, allocate the results, call the core.

Nothing is written before every argument is checked and every result has its memory.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from . import _core, _layout, quantization
from . import _validate as check
from ._dtypes import DATA, FLOAT64, rounded
from ._layout import Layout
from ._types import Activation, Array, Gradients, GradMask
from .quantization import Quantize
from .runtime import run


def forward(
    x: Array,
    layout: Layout,
    weight: npt.ArrayLike | None,
    bias: npt.ArrayLike | None,
    eps: float,
    out: Array | None,
    *,
    statistic: int = _core.VARIANCE,
    offset: float = 0.0,
    mean: Array | None = None,
    rstd: Array | None = None,
    m2: Array | None = None,
    activation: Activation | None = None,
    quantize: Quantize | None = None,
    where: npt.ArrayLike | None = None,
    count: Array | None = None,
) -> Array:
    """Normalize with the statistics of `x`, which go to `mean`, `rstd`, `m2` and `count` where given.

    Only where the mask `where` is True do elements count; `count` is given only with a mask.
    """
    weight = check.parameter("weight", weight, layout, x)
    bias = check.parameter("bias", bias, layout, x)
    eps = check.eps(eps)
    weight = _scale(weight, check.offset(offset), layout, x)
    after = check.activation(activation), quantization.arrays(quantize, layout, x)
    dtype = quantization.dtype_of(quantize, x)
    mask = check.mask(where, x)
    out = check.out(out, x, dtype=dtype)
    y = _target(out, dtype, x)
    compute = DATA[x.dtype].compute
    parameters = _layout.side(weight, compute, out), _layout.side(bias, compute, out)
    if x.size:
        views = layout.of(x), layout.of(y)
        which = *after, None if mask is None else layout.of(_layout.apart(mask, out)), count
        run(_core.forward, *views, layout.roles, *parameters, statistic, eps, mean, rstd, m2, *which)
    else:
        _no_values(mean, rstd, m2)
    return _result(y, out)


def add_forward(
    x: Array,
    residual: npt.ArrayLike,
    layout: Layout,
    weight: npt.ArrayLike | None,
    bias: npt.ArrayLike | None,
    eps: float,
    out: Array | tuple[Array | None, Array | None] | None,
    *,
    statistic: int = _core.VARIANCE,
    offset: float = 0.0,
    mean: Array | None = None,
    rstd: Array | None = None,
    activation: Activation | None = None,
    quantize: Quantize | None = None,
) -> tuple[Array, Array]:
    """Normalize ``h = x + residual``; return the result and h."""
    residual = check.like("residual", residual, x)
    weight = check.parameter("weight", weight, layout, x)
    bias = check.parameter("bias", bias, layout, x)
    eps = check.eps(eps)
    weight = _scale(weight, check.offset(offset), layout, x)
    after = check.activation(activation), quantization.arrays(quantize, layout, x)
    dtype = quantization.dtype_of(quantize, x)
    y_out, h_out = check.outs(out, x, dtype)
    y, h = _target(y_out, dtype, x, residual), _target(h_out, x.dtype, x, residual)
    compute = DATA[x.dtype].compute
    parameters = [_layout.side(_layout.side(a, compute, y_out), compute, h_out) for a in (weight, bias)]
    if x.size:
        views = (layout.of(a) for a in (x, residual, h, y))
        run(_core.add_forward, *views, layout.roles, *parameters, statistic, eps, mean, rstd, *after)
    else:
        _no_values(mean, rstd)
    return _result(y, y_out), _result(h, h_out)


def apply(
    x: Array,
    layout: Layout,
    mean: Array,
    rstd: Array,
    weight: npt.ArrayLike | None,
    bias: npt.ArrayLike | None,
    out: Array | None,
    *,
    activation: Activation | None = None,
    quantize: Quantize | None = None,
) -> Array:
    """Normalize with the given statistics."""
    weight = check.parameter("weight", weight, layout, x)
    bias = check.parameter("bias", bias, layout, x)
    after = check.activation(activation), quantization.arrays(quantize, layout, x)
    dtype = quantization.dtype_of(quantize, x)
    out = check.out(out, x, dtype=dtype)
    y = _target(out, dtype, x)
    compute = DATA[x.dtype].compute
    parameters = _layout.side(weight, compute, out), _layout.side(bias, compute, out)
    statistics = _layout.side(mean, FLOAT64, out), _layout.side(rstd, FLOAT64, out)
    if x.size:
        run(_core.apply, layout.of(x), layout.of(y), layout.roles, *parameters, *statistics, *after)
    return _result(y, out)


def backward(
    dy: npt.ArrayLike,
    x: Array,
    layout: Layout,
    weight: npt.ArrayLike | None,
    mean: npt.ArrayLike | None,
    rstd: npt.ArrayLike,
    grad_mask: GradMask,
    *,
    statistic: int = _core.VARIANCE,
    offset: float = 0.0,
    training: bool = True,
    activation: Activation | None = None,
    bias: npt.ArrayLike | None = None,
    added: npt.ArrayLike | None = None,
    of: str = "x",
    where: npt.ArrayLike | None = None,
) -> Gradients:
    """Gradients of `forward`, or of `apply` if not `training`; `mean` is given exactly if the statistic is centred.

    Those of the parameters are rounded once to the dtype of the weight, or of the data without one. `added` is added to
    the gradient of `x`, whose name is `of`.
    """
    dy = check.like("dy", dy, x, of)
    added = None if added is None else check.like("dh", added, x, of)
    weight = check.parameter("weight", weight, layout, x, of)
    bias = check.parameter("bias", bias, layout, x, of)
    centre = check.statistic("mean", mean, layout, of) if statistic == _core.VARIANCE else None
    rstd = check.statistic("rstd", rstd, layout, of)
    scale = _scale(weight, check.offset(offset), layout, x)
    training = check.training(training)
    function = check.activation(activation)
    mask = check.mask(where, x)
    want_dx, want_dweight, want_dbias = check.grad_mask(grad_mask)
    dx = _layout.empty_like(x.dtype, x) if want_dx else None
    dweight = np.zeros(layout.parameters) if want_dweight else None
    dbias = np.zeros(layout.parameters) if want_dbias else None
    if x.size and (want_dx or want_dweight or want_dbias):
        compute = DATA[x.dtype].compute
        scale, bias = _layout.side(scale, compute), _layout.side(bias, compute)
        count = None if mask is None else layout.counts(mask)
        mask = None if mask is None else layout.of(mask)
        statistics = _centre(centre, x, layout, training, mask), _layout.side(rstd, FLOAT64)
        view, dy_view = layout.of(x), layout.of(dy)
        dx_view = None if dx is None else layout.of(dx)
        if function:
            # Through the activation first; its gradient lies where dx is going to be.
            dz = layout.of(_layout.empty_like(x.dtype, x)) if dx_view is None else dx_view
            run(_core.activation_gradient, dy_view, view, dz, layout.roles, scale, bias, *statistics, function)
            dy_view = dz
        side = None if added is None else layout.of(added)
        sums = dweight, dbias, None, side, mask, count
        run(_core.backward, dy_view, view, dx_view, layout.roles, scale, statistic, training, *statistics, *sums)
    dtype = x.dtype if weight is None else weight.dtype
    return Gradients(dx, *rounded_sums(dtype, dweight, dbias))


def _scale(weight: Array | None, offset: float, layout: Layout, x: Array) -> Array | None:
    """``offset + weight`` in the compute dtype, rounded once; None stands for ones."""
    if offset == 0.0:
        return weight
    total = np.full(layout.parameters, offset + 1.0) if weight is None else np.add(weight, offset, dtype=FLOAT64)
    return total.astype(DATA[x.dtype].compute)


def _target(out: Array | None, dtype: np.dtype[Any], *inputs: Array) -> Array:
    """The array that the core writes: `out`, unless that would change an input under the core's eyes."""
    if out is None:
        return _layout.empty_like(dtype, *inputs)
    for x in inputs:
        if out is not x and _layout.overlap(x, out) and not _layout.same_memory(x, out):
            return _layout.empty_like(dtype, *inputs)
    return np.asarray(out)


def _result(y: Array, out: Array | None) -> Array:
    if out is None:
        return y
    if y is not out and not _layout.same_memory(y, out):
        np.copyto(out, y)
    return out


def _no_values(*statistics: Array | None) -> None:
    """Statistics of groups without values."""
    for values in statistics:
        if values is not None:
            values.fill(np.nan)


def _centre(mean: Array | None, x: Array, layout: Layout, training: bool, mask: Array | None = None) -> Array | None:
    """The mean as the core takes it.

    A mean that was rounded to float32 is off by up to half a unit of itself, which is many standard deviations where
    the mean is large. The data still know it exactly, unless it was a constant.
    """
    if mean is None or mean.dtype == FLOAT64 or not training:
        return _layout.side(mean, FLOAT64)
    exact, m2 = layout.statistic_arrays(2)
    run(_core.moments, layout.of(x), layout.roles, exact, m2, mask)
    return exact


def rounded_sums(dtype: np.dtype[Any], *sums: Array | None) -> list[Array | None]:
    """Round sums in float64 once, to `dtype`."""
    if dtype == FLOAT64:
        return list(sums)
    with np.errstate(all="ignore"):  # a sum beyond the range of float32 is inf, as everywhere in the core
        return [None if values is None else rounded(values, dtype) for values in sums]
