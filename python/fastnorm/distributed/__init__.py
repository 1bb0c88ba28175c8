"""Normalization and whitening of data that lie on several ranks: processes of MPI, of torch.distributed, or others.

Ranks exchange through any ``allgather(obj)`` that returns the list of all ranks' objects in rank order. What they get
has the bits that one process gets which is handed the list of the ranks' arrays in the place of the array, with
``allgather=None``. An error of one rank is raised on all.

With mpi4py it is ``MPI.COMM_WORLD.allgather``; with torch.distributed::

    def allgather(obj):
        parts = [None] * dist.get_world_size()
        dist.all_gather_object(parts, obj)
        return parts
"""

from ._batch import SyncBatchNormForward, sync_batch_norm_backward, sync_batch_norm_forward
from ._batch_whitening import batch_whitening_backward, batch_whitening_forward
from ._instance import SyncInstanceNormForward, sync_instance_norm_backward, sync_instance_norm_forward
from ._whitening import fit_whitening

__all__ = [
    "SyncBatchNormForward",
    "SyncInstanceNormForward",
    "batch_whitening_backward",
    "batch_whitening_forward",
    "fit_whitening",
    "sync_batch_norm_backward",
    "sync_batch_norm_forward",
    "sync_instance_norm_backward",
    "sync_instance_norm_forward",
]
