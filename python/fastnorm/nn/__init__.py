"""Layers with state over the functions of :mod:`fastnorm`: parameters, running statistics, gradients.

Names, defaults and state follow PyTorch's layers, so that a state goes from one to the other. `layer(x)` normalizes,
`layer.backward(dy)` returns the gradient of `x` and keeps those of the parameters, in the dictionary
`layer.gradients()`. The parameters in `layer.parameters()` are the layer's own arrays: change them in place.

The adaptive layers, :class:`AdaLayerNorm`, :class:`AdaGroupNorm` and :class:`AdaInstanceNorm`, have no parameters:
scale and shift come with the data, one for every sample. The layers that make weights, :class:`WeightNorm` and
:class:`WeightStandardization`, have these as their parameters and are called without an argument.
"""

from ._adaptive import AdaGroupNorm, AdaInstanceNorm, AdaLayerNorm
from ._batch import BatchNorm
from ._group import GroupNorm, InstanceNorm
from ._rows import LayerNorm, RMSNorm
from ._weights import WeightNorm, WeightStandardization
from ._whitening import BatchWhitening

__all__ = [
    "AdaGroupNorm",
    "AdaInstanceNorm",
    "AdaLayerNorm",
    "BatchNorm",
    "BatchWhitening",
    "GroupNorm",
    "InstanceNorm",
    "LayerNorm",
    "RMSNorm",
    "WeightNorm",
    "WeightStandardization",
]
