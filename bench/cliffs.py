"""Inputs that kernels of long contiguous rows are bad at: ``python bench/cliffs.py [--threads N] [--rounds N]``.

Few channels last, tiny maps, groups of few channels, filters along a middle axis, masks: each against the plain call of
as many elements that kernels like, and, if it is installed, against PyTorch. Everything takes turns; figures are
medians of ratios: what the plain call takes, and how many times as long PyTorch does. Tiny maps and groups of few
channels must be ahead of PyTorch; everything else has a limit in times of the plain call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import fastnorm as fn
import places
from places import Call, Place, functional, torch


def _numbers(*shape: int) -> Any:
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def _peer(call: Callable[..., Any], *arrays: Any) -> Call | None:
    if torch is None:
        return None
    tensors = [torch.from_numpy(a) for a in arrays]
    return lambda: call(*tensors)


def _first(x: Any) -> Any:
    return torch.movedim(x, -1, 1)


def few_channels_last(op: str, *shape: int) -> Place:
    """Return a norm of images, channels last, against the same with the channels first."""
    x = _numbers(*shape)
    first, channels = np.ascontiguousarray(np.moveaxis(x, -1, 1)), shape[-1]
    mean, var = np.zeros(channels, np.float32), np.ones(channels, np.float32)
    if op == "inference":
        return Place(
            1.5,
            lambda: fn.batch_norm(first, mean, var),
            lambda: fn.batch_norm(x, mean, var, axis=-1),
            torch=_peer(lambda x, mean, var: functional.batch_norm(_first(x), mean, var), x, mean, var),
        )
    if op == "training":
        return Place(
            1.5,
            lambda: fn.batch_norm_forward(first),
            lambda: fn.batch_norm_forward(x, axis=-1),
            torch=_peer(lambda x: functional.batch_norm(_first(x), None, None, training=True), x),
        )
    last, saved = fn.batch_norm_forward(x, axis=-1), fn.batch_norm_forward(first)
    return Place(
        1.5,
        lambda: fn.batch_norm_backward(first, first, None, saved.mean, saved.rstd),
        lambda: fn.batch_norm_backward(x, x, None, last.mean, last.rstd, axis=-1),
    )


def tiny_maps(op: str, *shape: int) -> Place:
    """Return a norm of many small maps against layer norm of as many elements in rows of 64."""
    x = _numbers(*shape)
    rows = x[: x.size // 64 * 64].reshape(-1)[: x.size // 64 * 64].reshape(-1, 64)
    if op == "instance":
        return Place(
            None, lambda: fn.layer_norm(rows), lambda: fn.instance_norm(x), torch=_peer(functional.instance_norm, x)
        )
    return Place(
        None,
        lambda: fn.layer_norm(rows),
        lambda: fn.batch_norm_forward(x),
        torch=_peer(lambda x: functional.batch_norm(x, None, None, training=True), x),
    )


def groups(features: int, num_groups: int) -> Place:
    """Return group norm of a table against layer norm of the same."""
    x = _numbers(65536, features)
    return Place(
        None,
        lambda: fn.layer_norm(x),
        lambda: fn.group_norm(x, num_groups),
        torch=_peer(lambda x: functional.group_norm(x, num_groups), x),
    )


def filters(axis: int, *shape: int) -> Place:
    """Return weight norm along an axis against that along the first."""
    v = _numbers(*shape)

    def lengths(axis: int) -> Any:
        return np.ones([n if a == axis else 1 for a, n in enumerate(shape)], np.float32)

    first, g = lengths(0), lengths(axis)
    return Place(
        1.5,
        lambda: fn.weight_norm(v, first, axis=0),
        lambda: fn.weight_norm(v, g, axis=axis),
        torch=_peer(lambda v, g: torch._weight_norm(v, g, axis), v, g),
    )


def masked(op: str, kind: str) -> Place:
    """Return training of padded sequences, or with a random mask, against the call without a mask."""
    x, rng = _numbers(32, 128, 768), np.random.default_rng(1)
    padding = (np.arange(128) < rng.integers(1, 128, size=(32, 1)))[:, :, None]
    where = padding if kind == "padding" else rng.random(x.shape) < 0.5
    options: dict[str, Any] = {} if op == "layer_norm" else {"axis": -1}
    forward, backward = getattr(fn, f"{op.removesuffix(' backward')}_forward"), None
    if op.endswith(" backward"):
        backward = getattr(fn, op.replace(" ", "_"))
        options = {} if op.startswith("layer") else {"axis": -1}
        saved, counted = forward(x, **options)[1:], forward(x, where=where, **options)[1:]
        return Place(
            1.5 if kind == "padding" else 3.0,
            lambda: backward(x, x, None, *saved, **options),
            lambda: backward(x, x, None, *counted, where=where, **options),
        )
    return Place(
        1.5 if kind == "padding" else 3.0,
        lambda: forward(x, **options),
        lambda: forward(x, where=where, **options),
    )


PLACES: dict[str, Callable[[], Place]] = {
    **{
        f"{op} {'x'.join(map(str, shape))}": lambda op=op, shape=shape: few_channels_last(op, *shape)  # type: ignore[misc]
        for op in ("inference", "training", "backward")
        for shape in ((1, 224, 224, 3), (1, 512, 512, 2), (8, 224, 224, 4), (4, 64, 64, 16, 8))
    },
    "instance 100000x2x3": lambda: tiny_maps("instance", 100000, 2, 3),
    "instance 16384x3x2x2": lambda: tiny_maps("instance", 16384, 3, 2, 2),
    "batch 1024x512x1x4": lambda: tiny_maps("batch", 1024, 512, 1, 4),
    "batch 4096x64x2x2": lambda: tiny_maps("batch", 4096, 64, 2, 2),
    "groups 65536x64 in 2": lambda: groups(64, 2),
    "groups 65536x32 in 8": lambda: groups(32, 8),
    "groups 65536x32 in 32": lambda: groups(32, 32),
    "filters 512x512x3x3 axis 1": lambda: filters(1, 512, 512, 3, 3),
    "filters 512x512x7 axis 2": lambda: filters(2, 512, 512, 7),
    "filters 1024x64x128 axis 2": lambda: filters(2, 1024, 64, 128),
    **{
        f"{kind} {op}": lambda op=op, kind=kind: masked(op, kind)  # type: ignore[misc]
        for kind in ("padding", "random")
        for op in ("layer_norm", "batch_norm", "instance_norm", "layer_norm backward", "batch_norm backward")
    },
}


if __name__ == "__main__":
    places.main(PLACES, __doc__)
