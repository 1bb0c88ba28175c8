"""Normalization of NumPy arrays: forward and backward, fast, accurate, the same bits for every number of threads.

Every operation is up to three functions: ``op`` for inference, ``op_forward`` for training, which also returns the
statistics, and ``op_backward``, which takes them. :mod:`fastnorm.reference` defines in plain NumPy what they mean.
"""

import importlib
from typing import Any

from . import _core
from ._types import (
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
    Quantized,
    RMSNormForward,
    WeightNormForward,
    WeightNormGradients,
    WeightNormInit,
    WeightStandardizationForward,
    WeightStandardizationGradients,
)
from .batch import batch_norm, batch_norm_backward, batch_norm_forward
from .batch_whitening import batch_whitening, batch_whitening_backward, batch_whitening_forward
from .folding import fold_batch_norm
from .group import (
    group_norm,
    group_norm_backward,
    group_norm_forward,
    instance_norm,
    instance_norm_backward,
    instance_norm_forward,
)
from .l2 import l2_normalize, l2_normalize_backward, l2_normalize_forward
from .layer import (
    layer_norm,
    layer_norm_backward,
    layer_norm_forward,
    rms_norm,
    rms_norm_backward,
    rms_norm_forward,
)
from .quantization import Quantize, QuantizeRows
from .residual import (
    add_layer_norm,
    add_layer_norm_backward,
    add_layer_norm_forward,
    add_rms_norm,
    add_rms_norm_backward,
    add_rms_norm_forward,
)
from .runtime import (
    get_num_threads,
    get_pool_limit,
    set_num_threads,
    set_pool_limit,
    set_simd_target,
    show_config,
    simd_target,
    simd_targets,
    threads,
    warn_of_environment,
)
from .statistics import batch_norm_backward_apply, batch_norm_backward_reduce, merge_moments, moments
from .weights import (
    weight_norm,
    weight_norm_backward,
    weight_norm_forward,
    weight_norm_init,
    weight_standardization,
    weight_standardization_backward,
    weight_standardization_forward,
)
from .whitening import Whitening, fit_whitening, merge_whitenings, whiten

__version__: str = _core.build_info()["version"]

# Submodules that most programs never touch are imported at their first use.
_LAZY = ("nn", "reference")

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
    "Quantize",
    "QuantizeRows",
    "Quantized",
    "RMSNormForward",
    "WeightNormForward",
    "WeightNormGradients",
    "WeightNormInit",
    "WeightStandardizationForward",
    "WeightStandardizationGradients",
    "Whitening",
    "__version__",
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
    "get_num_threads",
    "get_pool_limit",
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
    "nn",
    "reference",
    "rms_norm",
    "rms_norm_backward",
    "rms_norm_forward",
    "set_num_threads",
    "set_pool_limit",
    "set_simd_target",
    "show_config",
    "simd_target",
    "simd_targets",
    "threads",
    "weight_norm",
    "weight_norm_backward",
    "weight_norm_forward",
    "weight_norm_init",
    "weight_standardization",
    "weight_standardization_backward",
    "weight_standardization_forward",
    "whiten",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


warn_of_environment()
