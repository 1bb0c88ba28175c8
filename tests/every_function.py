"""One call or more of every function of the package, each by itself: statistics come from NumPy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np

import fastnorm as fn


class Data:
    """Arrays for calls: a table (rows, lanes), images (samples, channels, positions) of as many values, parameters."""

    def __init__(
        self, rows: int = 24, lanes: int = 48, dtype: Any = "float32", scale: float = 1.0, strided: bool = False
    ) -> None:
        rng = np.random.default_rng(0)

        def numbers(*shape: int) -> Any:
            step = 2 if strided else 1
            return (scale * rng.standard_normal((*shape[:-1], shape[-1] * step))).astype(dtype)[..., ::step]

        self.x, self.dy, self.residual = (numbers(rows, lanes) for _ in range(3))
        self.image, self.image_dy = (numbers(rows // 4, 4, lanes) for _ in range(2))
        self.weight, self.bias = (rng.uniform(0.5, 2, lanes).astype(dtype) for _ in range(2))
        self.gains = np.linspace(1, 2, 4).astype(dtype)
        self.lane_mean, self.lane_var = np.linspace(-1, 1, lanes), np.linspace(0.5, 2, lanes)
        self.lane_mean, self.lane_var = (a.astype(dtype) for a in (self.lane_mean, self.lane_var))
        self.row_mean, self.row_rstd = np.zeros((rows, 1)), np.full((rows, 1), 1 / scale)
        self.where = np.arange(lanes) % 5 != np.arange(rows)[:, None] % 5
        self.narrow = self.x[:, :8]


def _backward(d: Data, op: str, **more: Any) -> Any:
    mean = {} if op == "rms_norm" else {"mean": d.row_mean}
    return getattr(fn, f"{op}_backward")(d.dy, d.x, weight=d.weight, rstd=d.row_rstd, **mean, **more)


def _groups(d: Data, op: str, *groups: int, **more: Any) -> Any:
    shape = (len(d.image), groups[0] if groups else 4)
    mean, rstd = np.zeros(shape), np.full(shape, d.row_rstd[0, 0])
    return getattr(fn, f"{op}_backward")(d.image_dy, d.image, *groups, weight=d.gains, mean=mean, rstd=rstd, **more)


def _lanes(d: Data) -> dict[str, Any]:
    return {"mean": d.lane_mean.astype(float), "rstd": 1 / np.sqrt(d.lane_var.astype(float))}


def _add_backward(d: Data, op: str) -> Any:
    mean = {} if op == "add_rms_norm" else {"mean": d.row_mean}
    return getattr(fn, f"{op}_backward")(d.dy, d.residual, d.x, weight=d.weight, rstd=d.row_rstd, **mean)


def _batch_whitening_backward(d: Data) -> Any:
    forward = fn.batch_whitening_forward(d.narrow, d.weight[:8], d.bias[:8])
    return fn.batch_whitening_backward(d.dy[:, :8], d.narrow, d.weight[:8], forward.saved)


def _whiten(d: Data) -> Any:
    return fn.whiten(d.narrow, eps=1e-3)


QUANTIZE: Final = fn.Quantize(0.1)

CALLS: Final[dict[str, Callable[[Data], Any]]] = {
    "layer_norm": lambda d: fn.layer_norm(d.x, d.weight, d.bias),
    "layer_norm gelu": lambda d: fn.layer_norm(d.x, d.weight, d.bias, activation="gelu"),
    "layer_norm quantize": lambda d: fn.layer_norm(d.x, d.weight, d.bias, quantize=QUANTIZE),
    "layer_norm where": lambda d: fn.layer_norm(d.x, d.weight, d.bias, where=d.where),
    "layer_norm columns": lambda d: fn.layer_norm(d.x, axis=0),
    "layer_norm images": lambda d: fn.layer_norm(d.image.transpose(2, 0, 1), axis=(0, 2)),
    "layer_norm_forward": lambda d: fn.layer_norm_forward(d.x, d.weight, d.bias),
    "layer_norm_backward": lambda d: _backward(d, "layer_norm"),
    "layer_norm_backward gelu": lambda d: _backward(d, "layer_norm", activation="gelu", bias=d.bias),
    "layer_norm_backward where": lambda d: _backward(d, "layer_norm", where=d.where),
    "rms_norm": lambda d: fn.rms_norm(d.x, d.weight, eps=1e-5),
    "rms_norm_forward": lambda d: fn.rms_norm_forward(d.x, d.weight, offset=1.0),
    "rms_norm_backward": lambda d: _backward(d, "rms_norm"),
    "add_layer_norm": lambda d: fn.add_layer_norm(d.x, d.residual, d.weight, d.bias),
    "add_layer_norm_forward": lambda d: fn.add_layer_norm_forward(d.x, d.residual, d.weight, d.bias),
    "add_layer_norm_backward": lambda d: _add_backward(d, "add_layer_norm"),
    "add_rms_norm": lambda d: fn.add_rms_norm(d.x, d.residual, d.weight),
    "add_rms_norm_forward": lambda d: fn.add_rms_norm_forward(d.x, d.residual, d.weight),
    "add_rms_norm_backward": lambda d: _add_backward(d, "add_rms_norm"),
    "batch_norm": lambda d: fn.batch_norm(d.x, d.lane_mean, d.lane_var, d.weight, d.bias),
    "batch_norm quantize": lambda d: fn.batch_norm(d.x, d.lane_mean, d.lane_var, quantize=QUANTIZE),
    "batch_norm_forward": lambda d: fn.batch_norm_forward(d.x, d.weight, d.bias),
    "batch_norm_forward images": lambda d: fn.batch_norm_forward(d.image, d.gains, d.gains, activation="silu"),
    "batch_norm_forward where": lambda d: fn.batch_norm_forward(d.x, where=d.where),
    "batch_norm_backward": lambda d: fn.batch_norm_backward(d.dy, d.x, d.weight, **_lanes(d)),
    "batch_norm_backward images": lambda d: fn.batch_norm_backward(
        d.image_dy, d.image, d.gains, mean=d.gains.astype(float), rstd=d.gains.astype(float)
    ),
    "batch_norm_backward where": lambda d: fn.batch_norm_backward(d.dy, d.x, d.weight, **_lanes(d), where=d.where),
    "batch_norm_backward_reduce": lambda d: fn.batch_norm_backward_reduce(d.dy, d.x, **_lanes(d)),
    "batch_norm_backward_apply": lambda d: fn.batch_norm_backward_apply(
        d.dy, d.x, d.weight, **_lanes(d), sum_dy=_lanes(d)["mean"], sum_dy_xhat=_lanes(d)["rstd"], count=100
    ),
    "group_norm": lambda d: fn.group_norm(d.image, 2, d.gains, d.gains),
    "group_norm last": lambda d: fn.group_norm(d.x, 4, d.weight, d.bias),
    "group_norm_forward": lambda d: fn.group_norm_forward(d.image, 2, d.gains, d.gains),
    "group_norm_backward": lambda d: _groups(d, "group_norm", 2),
    "group_norm_backward relu": lambda d: _groups(d, "group_norm", 2, activation="relu", bias=d.gains),
    "instance_norm": lambda d: fn.instance_norm(d.image, d.gains, d.gains),
    "instance_norm last": lambda d: fn.instance_norm(d.image.transpose(0, 2, 1), d.gains, d.gains, axis=-1),
    "instance_norm_forward": lambda d: fn.instance_norm_forward(d.image, d.gains, d.gains),
    "instance_norm_backward": lambda d: _groups(d, "instance_norm"),
    "weight_norm": lambda d: fn.weight_norm(d.x, d.x[:, :1]),
    "weight_norm_forward": lambda d: fn.weight_norm_forward(d.x, d.weight[None], axis=1),
    "weight_norm_backward": lambda d: fn.weight_norm_backward(d.dy, d.x, d.x[:, :1], norm=1 / d.row_rstd),
    "weight_standardization": lambda d: fn.weight_standardization(d.x, d.x[:, 0]),
    "weight_standardization_forward": lambda d: fn.weight_standardization_forward(d.x),
    "weight_standardization_backward": lambda d: fn.weight_standardization_backward(
        d.dy, d.x, d.x[:, 0], mean=d.row_mean[:, 0], var=d.row_rstd[:, 0]
    ),
    "moments": lambda d: fn.moments(d.x, axis=0),
    "moments where": lambda d: fn.moments(d.x, axis=1, where=d.where),
    "merge_moments": lambda d: fn.merge_moments([fn.Moments(3, 0.5, 2.0), fn.Moments(4, 1.5, 1.0)]),
    "fold_batch_norm": lambda d: fn.fold_batch_norm(d.x.T, None, d.lane_mean, d.lane_var, d.weight, d.bias),
    "fit_whitening": lambda d: fn.fit_whitening(d.narrow, eps=1e-3).matrix,
    "merge_whitenings": lambda d: fn.merge_whitenings([fn.fit_whitening(d.narrow, eps=1e-3)] * 3).matrix,
    "whiten": _whiten,
    "batch_whitening": lambda d: fn.batch_whitening(
        d.narrow, d.lane_mean[:8], np.eye(8, dtype=d.x.dtype)[None], d.weight[:8], d.bias[:8]
    ),
    "batch_whitening_forward": lambda d: fn.batch_whitening_forward(d.narrow, d.weight[:8], d.bias[:8]),
    "batch_whitening_backward": _batch_whitening_backward,
}

# Functions that take no arrays.
SETTINGS: Final[dict[str, Callable[[Data], Any]]] = {
    "get_num_threads": lambda d: fn.get_num_threads(),
    "get_pool_limit": lambda d: fn.get_pool_limit(),
    "set_num_threads": lambda d: fn.set_num_threads(fn.get_num_threads()),
    "set_pool_limit": lambda d: fn.set_pool_limit(64),
    "set_simd_target": lambda d: fn.set_simd_target(fn.simd_targets()[-1]),
    "simd_target": lambda d: fn.simd_target(),
    "simd_targets": lambda d: fn.simd_targets(),
    "threads": lambda d: fn.threads(2).__enter__(),
}


def arrays(result: Any) -> Iterator[Any]:
    """The arrays in a result, which may be a tuple of tuples."""
    if isinstance(result, tuple):
        for each in result:
            yield from arrays(each)
    elif result is not None:
        yield np.asarray(result)
