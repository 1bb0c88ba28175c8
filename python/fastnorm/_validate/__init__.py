"""Every error text of the functions, in the form: what, where, expected, got.

Each function checks one argument and returns it in the form that the rest of the library works with. Shapes and values
raise `ValueError`, types raise `TypeError`. Checks are ordered so that an ordinary argument passes in one comparison
or two. The rest of the library uses the names below and no module of the package itself.
"""

from .arrays import array, data, like, mask, numbers, out, out_of_shape
from .arrays import real as reals
from .axes import (
    channel_axis,
    filter_axis,
    groups_of_weight,
    is_sequence,
    normalized_axes,
    num_groups,
)
from .fused import quantization
from .parameters import parameter, per_channel, running
from .scalars import (
    boolean,
    choice,
    ddof,
    eps,
    grad_mask,
    integer,
    iterations,
    kind,
    megabytes,
    momentum,
    num_threads,
    offset,
    real_number,
    relative_eps,
)
from .statistics import count, moments, several_values
from .weights import representable, variances
from .whitening import (
    components,
    covariances,
    ddof_of_samples,
    finite_features,
    fits,
    full_rank,
    power,
    running_covariances,
    same_features,
    samples,
    samples_for_ddof,
    samples_of_covariance,
    shrinkage,
    singular,
    solver,
    whitening_saved,
)

__all__ = [
    "array",
    "boolean",
    "channel_axis",
    "choice",
    "components",
    "count",
    "covariances",
    "data",
    "ddof",
    "ddof_of_samples",
    "eps",
    "filter_axis",
    "finite_features",
    "fits",
    "full_rank",
    "grad_mask",
    "groups_of_weight",
    "integer",
    "is_sequence",
    "iterations",
    "kind",
    "like",
    "mask",
    "megabytes",
    "moments",
    "momentum",
    "normalized_axes",
    "num_groups",
    "num_threads",
    "numbers",
    "offset",
    "out",
    "out_of_shape",
    "parameter",
    "per_channel",
    "power",
    "quantization",
    "real_number",
    "reals",
    "relative_eps",
    "representable",
    "running",
    "running_covariances",
    "same_features",
    "samples",
    "samples_for_ddof",
    "samples_of_covariance",
    "several_values",
    "shrinkage",
    "singular",
    "solver",
    "variances",
    "whitening_saved",
]
