"""What every operation of :mod:`fastnorm` computes, in plain NumPy: the definition that its kernels are tested against.

The functions have the names, arguments and results of the fast ones. They follow the formulas in two passes, compute
and return float64 whatever the input's dtype (longdouble and complex stay what they are), and check nothing. No
conjugate enters, so a gradient can be had from any of them by a step in the imaginary direction.
"""

from .._types import (
    AddNorm,
    AddNormForward,
    AddRMSNormForward,
    BatchNormForward,
    BatchNormSums,
    BatchWhiteningForward,
    BatchWhiteningSaved,
    FoldedBatchNorm,
    Gradients,
    GroupNormForward,
    InstanceNormForward,
    L2NormalizeForward,
    LayerNormForward,
    Moments,
    RMSNormForward,
    WeightNormForward,
    WeightNormGradients,
    WeightNormInit,
    WeightStandardizationForward,
    WeightStandardizationGradients,
)
from ._batch import batch_norm, batch_norm_backward, batch_norm_forward
from ._batch_whitening import batch_whitening, batch_whitening_backward, batch_whitening_forward
from ._fold import fold_batch_norm
from ._fused import (
    add_layer_norm,
    add_layer_norm_backward,
    add_layer_norm_forward,
    add_rms_norm,
    add_rms_norm_backward,
    add_rms_norm_forward,
)
from ._group import group_norm, group_norm_backward, group_norm_forward
from ._instance import instance_norm, instance_norm_backward, instance_norm_forward
from ._l2 import l2_normalize, l2_normalize_backward, l2_normalize_forward
from ._layer import layer_norm, layer_norm_backward, layer_norm_forward
from ._rms import rms_norm, rms_norm_backward, rms_norm_forward
from ._standardization import weight_standardization, weight_standardization_backward, weight_standardization_forward
from ._statistics import merge_moments, moments
from ._synchronized import batch_norm_backward_apply, batch_norm_backward_reduce
from ._weight_norm import weight_norm, weight_norm_backward, weight_norm_forward, weight_norm_init
from ._whitening import Whitening, fit_whitening, merge_whitenings, whiten

__all__ = [
    "AddNorm",
    "AddNormForward",
    "AddRMSNormForward",
    "BatchNormForward",
    "BatchNormSums",
    "BatchWhiteningForward",
    "BatchWhiteningSaved",
    "FoldedBatchNorm",
    "Gradients",
    "GroupNormForward",
    "InstanceNormForward",
    "L2NormalizeForward",
    "LayerNormForward",
    "Moments",
    "RMSNormForward",
    "WeightNormForward",
    "WeightNormGradients",
    "WeightNormInit",
    "WeightStandardizationForward",
    "WeightStandardizationGradients",
    "Whitening",
    "add_layer_norm",
    "add_layer_norm_backward",
    "add_layer_norm_forward",
    "add_rms_norm",
    "add_rms_norm_backward",
    "add_rms_norm_forward",
    "batch_norm",
    "batch_norm_backward",
    "batch_norm_backward_apply",
    "batch_norm_backward_reduce",
    "batch_norm_forward",
    "batch_whitening",
    "batch_whitening_backward",
    "batch_whitening_forward",
    "fit_whitening",
    "fold_batch_norm",
    "group_norm",
    "group_norm_backward",
    "group_norm_forward",
    "instance_norm",
    "instance_norm_backward",
    "instance_norm_forward",
    "l2_normalize",
    "l2_normalize_backward",
    "l2_normalize_forward",
    "layer_norm",
    "layer_norm_backward",
    "layer_norm_forward",
    "merge_moments",
    "merge_whitenings",
    "moments",
    "rms_norm",
    "rms_norm_backward",
    "rms_norm_forward",
    "weight_norm",
    "weight_norm_backward",
    "weight_norm_forward",
    "weight_norm_init",
    "weight_standardization",
    "weight_standardization_backward",
    "weight_standardization_forward",
    "whiten",
]
