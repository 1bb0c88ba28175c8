"""From samples to a whitening: which summary of them is kept, which solver decomposes it."""

from typing import Final, TypeAlias

import numpy as np

from . import _scatter
from . import _validate as check
from ._dtypes import FLOAT64
from ._refined import Refined
from ._scatter import Samples, Summary
from ._spectra import Factor, Form, Rows, Sums
from ._types import Array
from ._whiteners import Options, Whitener, whitener

State: TypeAlias = Summary | Samples

# Samples are kept as they are while they are fewer than this times the features.
_KEPT: Final = 2
# Conditions beyond which sums of products lose digits that the data have: half of those of float64; of narrower data
# what float32 would notice.
_LOST_OF_FLOAT64, _LOST = 2.0**26, 2.0**36
# A map in float64 that amplifies rounding by more is refined.
_AMPLIFIED: Final = 2.0**18
_MARGIN: Final = 450  # how far eps may be above the square of the unit, as an exponent


def state_of(x: Array, options: Options, copy: bool) -> tuple[State, Whitener | None]:
    """What a fit keeps of samples, and the whitening matrix if it was found on the way."""
    if _keeps(len(x), x.shape[1], options):
        return _scatter.kept(x, copy), None
    return _condensed(x, options)


def with_more(state: State, x: Array, options: Options) -> State:
    """With more samples."""
    if isinstance(state, Samples):
        copy = _keeps(state.samples + len(x), x.shape[1], options)
        return joined(state, _scatter.kept(x, copy), options)
    return joined(state, _scatter.summary(x, state.triangular, _needs_fourth(options)), options)


def joined(state: State, other: State, options: Options) -> State:
    """The samples of both; neither changes."""
    if isinstance(state, Samples) and isinstance(other, Samples):
        both = state.merged(other)
        return both if _keeps(both.samples, both.features, options) else _condensed(both.table(), options)[0]
    fourth = _needs_fourth(options)
    triangular = (state if isinstance(state, Summary) else other).triangular  # type: ignore[union-attr]
    a, b = (
        part if isinstance(part, Summary) else _scatter.summary(part.table(), triangular, fourth)
        for part in (state, other)
    )
    if fourth and (a.fourth is None or b.fourth is None):
        raise ValueError("other must be a fit with shrinkage 'ledoit-wolf', as this one is, got another")
    return a.merged(b)


def mean_of(state: State) -> Array:
    """Mean of the samples."""
    if isinstance(state, Samples):
        return _scatter.moments(state.table())[0]
    return np.ldexp(state.mean, state.exponent)


def covariance_of(state: State, ddof: float) -> Array:
    """Covariance of the samples."""
    check.samples_for_ddof(ddof, state.samples)
    if isinstance(state, Samples):
        state = _scatter.summary(state.table(), False, False)
    return np.ldexp(state.sums / (state.samples - ddof), 2 * state.exponent)


def decomposed(state: State, options: Options) -> Whitener:
    """The whitening matrix."""
    check.samples_for_ddof(options.ddof, state.samples)
    fourth = None
    if isinstance(state, Samples):
        table = state.table()
        if len(table) > table.shape[1] or options.triangular:
            state, found = _condensed(table, options)
            return found or decomposed(state, options)
        exponent = _unit(_scatter.exponent_of(table), options)
        form: Form = Rows(table, options.ddof, options.correlated, exponent)
        if _needs_fourth(options):
            fourth = _scatter.fourth_moments(table, np.ldexp(mean_of(state), -exponent), exponent)
    else:
        exponent = _unit(state.exponent, options)
        state = state.in_unit(exponent)
        form = (Factor if state.triangular else Sums)(state, options.ddof, options.correlated)
        fourth = state.fourth
    return whitener(form, options, exponent, fourth)


def solver_of(state: State, options: Options) -> str:
    """The solver that decomposes it."""
    if isinstance(state, Summary):
        return state.solver
    if state.samples <= state.features and not options.triangular:
        return Rows.solver
    return _condensed(state.table(), options)[0].solver


def _keeps(samples: int, features: int, options: Options) -> bool:
    if options.solver == "dual":
        return samples <= features
    return options.solver == "auto" and samples < _KEPT * features


def _condensed(x: Array, options: Options) -> tuple[Summary, Whitener | None]:
    """A summary of samples, and the whitening matrix if the choice of the solver found it."""
    fourth = _needs_fourth(options)
    triangular = options.solver in ("qr", "dual")
    result = _scatter.summary(x, triangular, fourth)
    if len(x) <= options.ddof or (options.solver == "covariance"):
        return result, None
    found = _attempt(result, options)
    if not triangular:
        if found is not None and found.condition <= (_LOST_OF_FLOAT64 if x.dtype == FLOAT64 else _LOST):
            return result, found
        result = _scatter.summary(x, True, fourth)
        found = _attempt(result, options)
    refines = options.power == 1.0 and not (options.eps or options.relative_eps or options.shrinkage)
    if found is not None and refines and x.dtype == FLOAT64 and found.amplification > _AMPLIFIED:
        found = Refined(found, x, mean_of(result), options)
    return result, found


def _attempt(state: Summary, options: Options) -> Whitener | None:
    """The whitening matrix, if there is one."""
    try:
        return decomposed(state, options)
    except np.linalg.LinAlgError:
        return None


def _needs_fourth(options: Options) -> bool:
    return options.shrinkage == "ledoit-wolf"


def _unit(exponent: int, options: Options) -> int:
    """A unit in which eps is in range, too."""
    if options.eps == 0.0 or options.correlated:
        return exponent
    return max(exponent, int(np.frexp(options.eps)[1]) // 2 - _MARGIN)
