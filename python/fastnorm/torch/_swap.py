"""Exchange of the normalization modules of a model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from torch import nn

from . import _modules

_OURS: dict[type[nn.Module], type[nn.Module]] = {
    theirs: getattr(_modules, theirs.__name__)
    for theirs in (
        nn.BatchNorm1d,
        nn.BatchNorm2d,
        nn.BatchNorm3d,
        nn.GroupNorm,
        nn.InstanceNorm1d,
        nn.InstanceNorm2d,
        nn.InstanceNorm3d,
        nn.LayerNorm,
        nn.RMSNorm,
    )
}
_THEIRS = {ours: theirs for theirs, ours in _OURS.items()}
# Those with calls that gain, which they know themselves.
_GAIN = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)


def swap_norms(model: nn.Module, *, kinds: Iterable[type[nn.Module]] | Literal["all"] | None = None) -> nn.Module:
    """Let the normalization modules of a model compute with fastnorm.

    Each becomes an instance of a subclass of its own class, in place: parameters, buffers, hooks, names in
    `state_dict` and `isinstance` stay. Modules of subclasses that others wrote stay what they are.

    Parameters
    ----------
    model : torch.nn.Module
        The model, which is changed; it may be a normalization module itself.
    kinds : collection of torch.nn classes, or "all", optional
        Which modules. By default batch and instance normalization, which then leave to PyTorch what it computes as
        fast itself: small tensors, batch norm's training on channels that lie last in memory, batch norm in compiled
        models. Kinds that are named compute with fastnorm wherever it can.

    Returns
    -------
    torch.nn.Module
        `model`.

    Raises
    ------
    TypeError
        If `model` is not a module, or a kind is not a class.
    ValueError
        If a kind is a class that fastnorm has no counterpart of.

    See Also
    --------
    SyncBatchNorm : Statistics over all ranks.

    Notes
    -----
    Where fastnorm cannot compute, PyTorch does: tensors of other devices and dtypes, empty ones, under autocast,
    `torch.func` transforms, tracing. Second derivatives are PyTorch's too.

    Examples
    --------
    >>> import torch
    >>> from fastnorm.torch import swap_norms
    >>> model = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.InstanceNorm2d(8, affine=True))
    >>> x = torch.randn(2, 3, 64, 64)
    >>> plain = model(x)
    >>> torch.allclose(swap_norms(model)(x), plain, atol=1e-5)
    True
    >>> isinstance(model[1], torch.nn.InstanceNorm2d)
    True
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    wanted = _wanted(kinds)
    for module in model.modules():
        if type(module) in wanted:
            module.__class__ = _OURS[type(module)]
            if kinds is None:
                module._only_gains = True
        elif kinds is not None and _THEIRS.get(type(module)) in wanted:
            module.__dict__.pop("_only_gains", None)
    return model


def _wanted(kinds: Iterable[type[nn.Module]] | str | None) -> set[type[nn.Module]]:
    if kinds is None:
        return set(_GAIN)
    if kinds == "all":
        return set(_OURS)
    if isinstance(kinds, str) or not isinstance(kinds, Iterable):
        raise TypeError(f"kinds must be None, 'all' or a collection of torch.nn classes, got {kinds!r}")
    found = set(kinds)
    for kind in found:
        if not isinstance(kind, type):
            raise TypeError(f"kinds must be classes, got {kind!r}")
        if kind not in _OURS:
            names = ", ".join(theirs.__name__ for theirs in _OURS)
            raise ValueError(f"kinds must be among {names}, got {kind.__name__}")
    return found
