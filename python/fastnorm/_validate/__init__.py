"""Every error text of the functions, in the form: what, where, expected, got.

Each function checks one argument and returns it in the form that the rest of the library works with. Shapes and values
raise `ValueError`, types raise `TypeError`. Checks are ordered so that an ordinary argument passes in one comparison
or two. The rest of the library uses the names below and no module of the package itself.
"""

from .arrays import array, data, like, mask, numbers, out, out_of_shape, outs
from .arrays import real as reals
from .axes import (
    channel_axis,
    channel_axis_of_samples,
    filter_axis,
    groups_of_weight,
    is_sequence,
    normalized_axes,
    num_groups,
)
from .fused import activation, byte_dtype, quantization, quantization_shape
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
    scale,
    training,
)
from .statistics import count, moments, several_values, statistic
from .weights import length, norm, representable, several_weights, variances
from .whitening import (
    components,
    covariances,
    ddof_of_samples,
    finite_features,
    full_rank,
    running_covariances,
    same_features,
    samples,
    samples_of_covariance,
    singular,
    whitening_saved,
)

__all__ = [
    "activation",
    "array",
    "boolean",
    "byte_dtype",
    "channel_axis",
    "channel_axis_of_samples",
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
    "full_rank",
    "grad_mask",
    "groups_of_weight",
    "integer",
    "is_sequence",
    "iterations",
    "kind",
    "length",
    "like",
    "mask",
    "megabytes",
    "moments",
    "momentum",
    "norm",
    "normalized_axes",
    "num_groups",
    "num_threads",
    "numbers",
    "offset",
    "out",
    "out_of_shape",
    "outs",
    "parameter",
    "per_channel",
    "quantization",
    "quantization_shape",
    "real_number",
    "reals",
    "representable",
    "running",
    "running_covariances",
    "same_features",
    "samples",
    "samples_of_covariance",
    "scale",
    "several_values",
    "several_weights",
    "singular",
    "statistic",
    "training",
    "variances",
    "whitening_saved",
]
