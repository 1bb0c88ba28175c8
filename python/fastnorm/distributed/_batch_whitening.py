"""Batch whitening of a batch whose samples lie on several ranks."""

from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _batch_products as _products
from .. import _running
from .. import _validate as check
from .._batch_products import Batch, Products
from .._batch_whiteners import BatchMethod, Root
from .._dtypes import rounded_sums
from .._types import Array, BatchWhiteningForward, BatchWhiteningSaved, Gradients, GradMask
from ._blocks import blocks_of, like
from ._exchange import Allgather, Part, exchange, merge


def batch_whitening_forward(
    x: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    bias: npt.ArrayLike | None = None,
    running_mean: Array | None = None,
    running_cov: Array | None = None,
    *,
    allgather: Allgather | None,
    axis: int = 1,
    groups: int = 1,
    method: BatchMethod = "zca",
    iterations: int = 5,
    momentum: float = 0.1,
    ddof: float = 1,
    eps: float = 1e-5,
) -> BatchWhiteningForward:
    """Do :func:`fastnorm.batch_whitening_forward` with the statistics of the samples on all ranks.

    Every rank calls this at the same time with its own samples. The whitening matrices are computed by the first rank
    and have the same bits on all.

    Parameters
    ----------
    x : array_like, or list of array_like
        The samples of this rank; there may be none. The number of channels and the dtype are the same on all ranks. A
        list is taken for blocks, as if each were a rank's.
    weight, bias, running_mean, running_cov, axis, groups, method, iterations, momentum, ddof, eps
        As in :func:`fastnorm.batch_whitening_forward`. The options are the same on all ranks.
    allgather : callable or None
        As in :func:`sync_batch_norm_forward`; it is called twice, with a matrix for each group of channels, and with a
        few from the first rank.

    Returns
    -------
    BatchWhiteningForward
        ``y`` in the form of `x`, and ``saved`` for :func:`batch_whitening_backward` of this module.

    Raises
    ------
    ValueError, TypeError, RuntimeError
        As in :func:`sync_batch_norm_forward`.
    numpy.linalg.LinAlgError
        If eps is 0 and a covariance has no full rank; on every rank.

    Warns
    -----
    RuntimeWarning
        As in :func:`fastnorm.batch_whitening_forward`, by the number of values on all ranks; on the first.

    See Also
    --------
    fastnorm.batch_whitening_forward : The same of data in one process.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> from fastnorm.distributed import batch_whitening_forward
    >>> x = np.random.default_rng(0).standard_normal((100, 4)) @ np.tri(4)
    >>> y, saved = batch_whitening_forward([x[:30], x[30:]], allgather=None)
    >>> np.allclose(np.concatenate(y), fn.batch_whitening_forward(x).y)
    True
    """
    work = _Forward(x, weight, bias, (running_mean, running_cov))
    arguments = {"method": method, "iterations": iterations, "eps": eps, "momentum": momentum, "ddof": ddof}
    whole, found = exchange(
        allgather, lambda: work.take(axis, groups, arguments), _products.merged_pair, work.decompose, shared=True
    )
    mean = whole.mean_a if whole.samples else np.full_like(whole.mean_a, np.nan)
    y = [_products.whitened(b, found.matrix, mean, np.zeros_like(mean), work.weight, work.bias) for b in work.blocks]
    work.step.update(mean, whole.sums, np.array([float(whole.samples)]))
    layout, features = work.blocks[0].layout, work.blocks[0].features
    saved = BatchWhiteningSaved(mean, *found, layout.axes[0], features.groups, method, iterations)
    return BatchWhiteningForward(like(x, y), saved)


def batch_whitening_backward(
    dy: npt.ArrayLike,
    x: npt.ArrayLike,
    weight: npt.ArrayLike | None,
    saved: BatchWhiteningSaved,
    *,
    allgather: Allgather | None,
    grad_mask: GradMask = (True, True, True),
) -> Gradients:
    """Gradients of :func:`batch_whitening_forward` of this module.

    Parameters
    ----------
    dy, x : array_like, or lists of array_like
        Gradient of the output, and the input of the forward pass, of this rank.
    weight : array_like, shape (C,), or None
        Scale of the forward pass.
    saved : BatchWhiteningSaved
        What the forward pass returned.
    allgather : callable or None
        As in the forward; it is called twice, with a matrix for each group of channels and with none.
    grad_mask : three bools, optional
        Which of ``dx``, ``dweight``, ``dbias`` to compute; the others are None.

    Returns
    -------
    Gradients
        ``dx`` in the form of `x`. ``dweight`` and ``dbias`` are this rank's part: the program adds them up over the
        ranks, with the gradients of all other parameters.

    Raises
    ------
    ValueError, TypeError, RuntimeError
        As in :func:`sync_batch_norm_forward`.

    See Also
    --------
    fastnorm.batch_whitening_backward : The same of data in one process.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> from fastnorm.distributed import batch_whitening_backward, batch_whitening_forward
    >>> x, dy = np.random.default_rng(0).standard_normal((2, 100, 4))
    >>> parts, dys = [x[:30], x[30:]], [dy[:30], dy[30:]]
    >>> y, saved = batch_whitening_forward(parts, allgather=None)
    >>> dx, dweight, dbias = batch_whitening_backward(dys, parts, None, saved, allgather=None)
    >>> whole = fn.batch_whitening_backward(dy, x, None, fn.batch_whitening_forward(x).saved)
    >>> np.allclose(np.concatenate(dx), whole.dx), np.allclose(dweight, whole.dweight)
    (True, True)
    """
    work = _Backward(dy, x, weight, saved)
    _, gradients = exchange(allgather, lambda: work.take(grad_mask), _products.merged_pair, work.finish)
    dx, dweight, dbias = gradients
    dtype = work.blocks[0].x.dtype if work.weight is None else work.weight.dtype
    return Gradients(None if dx is None else like(x, dx), *rounded_sums(dtype, dweight, dbias))


class _Forward:
    def __init__(self, x: Any, weight: Any, bias: Any, running: tuple[Any, Any]) -> None:
        self.x, self.parameters, self.running = x, (weight, bias), running

    def take(self, axis: Any, groups: Any, arguments: dict[str, Any]) -> Part:
        self.blocks = [_products.batch(x, axis, groups) for x in blocks_of("x", self.x)]
        self.options = _products.options(arguments["method"], arguments["iterations"], arguments["eps"])
        momentum = check.momentum(arguments["momentum"])
        ddof = check.ddof(arguments["ddof"], self.blocks[0].layout, False)
        for data in self.blocks:
            self.weight, self.bias = map(data.parameter, ("weight", "bias"), self.parameters)
            others: dict[str, object] = {"weight": self.weight, "bias": self.bias}
            buffers = check.running_covariances(*self.running, data.layout, data.stack, data.x, others)
        self.step = _running.Step(buffers, momentum, ddof, self.blocks[0].layout)
        arguments = {**arguments, "whether there are running statistics": buffers is not None}
        return merge([Part(_arguments("forward", b, **arguments), _centred(b)) for b in self.blocks], _pair, "block")

    def decompose(self, whole: Products) -> Root:
        samples, size = np.array([float(whole.samples)]), self.blocks[0].features.size
        check.values_per_group(samples, self.step.ddof, self.step.buffers is not None)
        check.samples_of_covariance(whole.samples, size)
        return _products.decomposed(whole, *self.options)


class _Backward:
    def __init__(self, dy: Any, x: Any, weight: Any, saved: Any) -> None:
        self.dy, self.x, self.parameter, self.saved = dy, x, weight, saved

    def take(self, grad_mask: Any) -> Part:
        pairs = [_products.batch_of(self.saved, x) for x in blocks_of("x", self.x)]
        self.blocks = [data for data, _ in pairs]
        gradients = blocks_of("dy", self.dy)
        check.as_many_blocks("dy", gradients, self.blocks)
        self.dys = [check.like("dy", dy, data.x) for dy, data in zip(gradients, self.blocks, strict=True)]
        for data in self.blocks:
            self.weight = data.parameter("weight", self.parameter)
        self.wanted = check.grad_mask(grad_mask)
        parts = [
            Part(_arguments("backward", data), _products.gradient_products(dy, data, self.saved))
            for dy, data in zip(self.dys, self.blocks, strict=True)
        ]
        part = merge(parts, _pair, "block")
        self.own: Products = part.payload
        return part

    def finish(self, whole: Products) -> tuple[list[Array] | None, Array | None, Array | None]:
        want_dx, want_dweight, want_dbias = self.wanted
        dx = dweight = dbias = None
        if want_dx:
            dx = [
                _products.input_gradient(dy, data, self.weight, self.saved, whole)
                for dy, data in zip(self.dys, self.blocks, strict=True)
            ]
        if want_dweight:
            dweight = _products.weight_gradient(self.own, self.saved, whole.mean_b)
        if want_dbias:
            dbias = self.own.mean_a * self.own.samples
        return dx, dweight, dbias


_pair = _products.merged_pair


def _centred(data: Batch) -> Products:
    part, off = _products.covariances(data)
    mean = part.mean_a + off
    return part._replace(mean_a=mean, mean_b=mean)


def _arguments(direction: str, data: Batch, **others: Any) -> dict[str, Any]:
    return {
        "the operation": f"batch_whitening_{direction}",
        "the groups of x": data.stack[:2],
        "the dtype of x": data.x.dtype.name,
        **others,
    }
