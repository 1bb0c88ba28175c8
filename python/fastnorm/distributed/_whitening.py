"""Whitening of samples that lie on several ranks."""

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any

import numpy.typing as npt

from .. import _validate as check
from .._tree import merged
from ..whitening import Whitening, merge_whitenings
from ..whitening import fit_whitening as fit_one
from ._blocks import blocks_of
from ._exchange import Allgather, Part, exchange


def fit_whitening(
    x: npt.ArrayLike | Iterable[npt.ArrayLike], *, allgather: Allgather | None, **options: Any
) -> Whitening:
    """Do :func:`fastnorm.fit_whitening` with the samples of all ranks.

    Every rank calls this at the same time with its own samples and gets the same fit, with the same bits.

    Parameters
    ----------
    x : array_like, list or iterator of array_like, shape (samples, features)
        The samples of this rank; there may be none. The number of features and the dtype are the same on all ranks. A
        list is taken for blocks, as if each were a rank's. An iterator gives blocks one by one, such as a generator
        that reads files: none is held while it makes the next, and an error that it raises reaches all ranks.
    allgather : callable or None
        As in :func:`sync_batch_norm_forward`; it is called twice, with a fit of each rank, and with that of all from
        the first rank.
    **options
        Those of :func:`fastnorm.fit_whitening`, the same on all ranks.

    Returns
    -------
    Whitening
        The fit, its matrices computed.

    Raises
    ------
    ValueError, TypeError, RuntimeError
        As in :func:`sync_batch_norm_forward`; also if there are no samples at all.
    numpy.linalg.LinAlgError
        If the covariance has no full rank and nothing is added to it; on every rank.

    See Also
    --------
    fastnorm.fit_whitening : The same of data in one process.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnorm as fn
    >>> from fastnorm.distributed import fit_whitening
    >>> x = np.random.default_rng(0).standard_normal((1000, 3))
    >>> fit = fit_whitening([x[:300], x[300:]], allgather=None)
    >>> np.allclose(fit.matrix, fn.fit_whitening(x).matrix)
    True
    """

    def take() -> Part:
        # A loop, and enumerate, would hold a block while the next one is made.
        parts = map(_PartOfBlock(options), x if isinstance(x, Iterator) else blocks_of("x", x))
        first = list(islice(parts, 1))
        check.blocks("x", first)
        return Part(first[0].arguments, merged((part.payload for part in chain(first, parts)), _pair))

    return exchange(allgather, take, _pair, _decomposed, shared=True)[1]


class _PartOfBlock:
    """The fit of a block, which must go with those before."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        self.first: dict[str, Any] | None = None
        self.blocks = 0

    def __call__(self, block: Any) -> Part:
        x = check.samples("x", block)
        fit = fit_one(x, **self.options)
        arguments = {
            "the operation": "fit_whitening",
            "the number of features of x": x.shape[1],
            "the dtype of x": x.dtype.name,
            **fit._options._asdict(),  # those that nobody gave, too
        }
        self.first = self.first or arguments
        check.as_first(self.first, arguments, "block", self.blocks)
        self.blocks += 1
        return Part(arguments, fit)


def _pair(a: Whitening, b: Whitening) -> Whitening:
    return merge_whitenings([a, b])


def _decomposed(fit: Whitening) -> Whitening:
    """The same fit, which brings its matrices along."""
    check.some_samples("x", fit.samples, "on all ranks together")
    assert fit.matrix is not None
    return fit
