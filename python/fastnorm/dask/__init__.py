"""Normalization and whitening of Dask arrays: lazily, block by block, on one machine or on a cluster.

What runs over rows or samples has the bits of the same function of the whole array. What is merged from blocks depends
on the blocks and on nothing else: not on workers, threads, or the order in which they finish. Arguments are checked at
the call; what is wrong with the data is raised when it is computed.
"""

from ._moments import batch_norm_forward, moments
from ._rows import batch_norm, group_norm, instance_norm, layer_norm, rms_norm
from ._whitening import fit_whitening, inverse_transform, transform

__all__ = [
    "batch_norm",
    "batch_norm_forward",
    "fit_whitening",
    "group_norm",
    "instance_norm",
    "inverse_transform",
    "layer_norm",
    "moments",
    "rms_norm",
    "transform",
]
