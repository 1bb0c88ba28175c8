"""Every public function and layer, with arguments that it takes: what tests about all of them start from."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

import fastnorm as fn
from fastnorm import nn

Arguments = dict[str, Any]
Make = Callable[..., np.ndarray]  # an array of random numbers of the shape given
N, C, S = 3, 4, 5
SHAPE = (N, C, S)

# Arguments that a call may write to.
WRITTEN = ("out", "running_mean", "running_var", "running_cov")


_OPTIONS: Arguments = {
    "num_groups": 2, "groups": 2, "eps": 1e-3, "offset": 1.0, "ddof": 1.0, "momentum": 0.3, "activation": "silu",
    "training": True, "mean_only": False, "grad_mask": (True, True, True), "quantize": None, "keepdims": True,
    "iterations": 3, "method": "zca", "count": 60.0,
}  # fmt: skip


def _statistics(shape: tuple[int, ...], rng: np.random.Generator) -> Arguments:
    return {"mean": rng.standard_normal(shape), "rstd": rng.uniform(0.5, 2, shape)}


def _normalization(name: str, make: Make, rng: np.random.Generator) -> Arguments:
    """Of batch, layer, RMS, group and instance normalization, whatever their functions take."""
    rows = "layer" in name or "rms" in name
    parameters = (S,) if rows else (C,)
    shape = (N, C, 1) if rows else (N, 2) if "group" in name else (N, C) if "instance" in name else (C,)
    covariance = np.broadcast_to(np.eye(C // 2), (2, C // 2, C // 2)).astype(make(1).dtype)
    return {
        **{key: make(*SHAPE) for key in ("x", "dy", "dh", "h", "residual", "out")},
        **{key: make(*parameters) for key in ("weight", "bias", "running_mean")},
        **_statistics(shape, rng),
        **_OPTIONS,
        "running_var": abs(make(*parameters)),
        "running_cov": covariance,
        "where": rng.random(SHAPE) < 0.7,
        "sum_dy": rng.standard_normal(C),
        "sum_dy_xhat": rng.standard_normal(C),
        "axis": -1 if rows else 1,
    }


def _weights(name: str, make: Make, rng: np.random.Generator) -> Arguments:
    gain = {"g": make(N, 1, 1), "gain": make(N), "norm": rng.uniform(1, 2, (N, 1, 1))}
    statistics = {"mean": rng.standard_normal(N), "var": rng.uniform(0.5, 2, N)}
    options = {"axis": 0, "groups": 1, "eps": 1e-3, "mode": "std_biased", "scale": 2.0}
    return {**{key: make(*SHAPE) for key in ("v", "w", "dw", "out", "t")}, **gain, **statistics, **options}


def _l2(name: str, make: Make, rng: np.random.Generator) -> Arguments:
    arrays = {key: make(*SHAPE) for key in ("x", "dy", "out")}
    return {**arrays, "norm": rng.uniform(1, 2, (N, C, 1)), "axis": -1, "eps": 1e-3}


def _folding(name: str, make: Make, rng: np.random.Generator) -> Arguments:
    channels = {key: make(C) for key in ("bias", "running_mean", "gamma", "beta")}
    return {"weight": make(C, 6), **channels, "running_var": abs(make(C)), "eps": 1e-3, "axis": 0, "groups": 1}


def _whitening(name: str, make: Make, rng: np.random.Generator) -> Arguments:
    options = {"relative_eps": 0.01, "shrinkage": 0.1, "power": 0.9, "solver": "covariance"}
    return {"x": make(12, 3), "method": "pca", "eps": 0.1, "ddof": 1, "n_components": 2, "sign": "max", **options}


def _batch_whitening_backward(name: str, make: Make, rng: np.random.Generator) -> Arguments:
    x = make(*SHAPE)
    saved = fn.batch_whitening_forward(x, axis=1, groups=2, eps=0.1).saved
    return {
        "dy": make(*SHAPE),
        "x": x,
        "weight": make(C),
        "saved": saved,
        "offset": 1.0,
        "grad_mask": (True, True, True),
    }


def _fits(name: str, make: Make, rng: np.random.Generator) -> Arguments:
    return {"fits": [fn.fit_whitening(make(12, 3), eps=0.1) for _ in range(3)]}


def _parts(name: str, make: Make, rng: np.random.Generator) -> Arguments:
    return {"parts": [fn.moments(make(*SHAPE), axis=0) for _ in range(3)]}


def _family(name: str) -> Callable[[str, Make, np.random.Generator], Arguments]:
    if name == "batch_whitening_backward":
        return _batch_whitening_backward
    if name.startswith("weight_"):
        return _weights
    if name.startswith("l2_"):
        return _l2
    return {
        "fold_batch_norm": _folding,
        "fit_whitening": _whitening,
        "whiten": _whitening,
        "merge_moments": _parts,
        "merge_whitenings": _fits,
    }.get(name, _normalization)


_RUNTIME = ("get_num_threads", "get_pool_limit", "set_num_threads", "set_pool_limit", "set_simd_target", "show_config",
            "simd_target", "simd_targets", "threads")  # fmt: skip
FUNCTIONS = [
    name for name in fn.__all__
    if callable(getattr(fn, name)) and not isinstance(getattr(fn, name), type) and name not in _RUNTIME
]  # fmt: skip


# Functions that stand for methods; `self` is the object.


def whitening_transform(self: fn.Whitening, x: Any, out: Any = None) -> Any:
    return self.transform(x, out=out)


def whitening_inverse_transform(self: fn.Whitening, z: Any, out: Any = None) -> Any:
    return self.inverse_transform(z, out=out)


def whitening_update(self: fn.Whitening, x: Any) -> Any:
    return self.update(x).mean


def whitening_merge(self: fn.Whitening, other: Any) -> Any:
    return self.merge(other).mean


def layer_call(self: Any, x: Any) -> Any:
    return self(x)


def layer_backward(self: Any, dy: Any) -> Any:
    return self.backward(dy), *self.gradients().values()


def layer_load(self: Any, state: Any) -> Any:
    return self.load_state_dict(state)


METHODS = [
    whitening_transform,
    whitening_inverse_transform,
    whitening_update,
    whitening_merge,
    layer_backward,
    layer_load,
    layer_call,
]

_LAYERS: list[Callable[[np.dtype[Any]], Any]] = [
    lambda dtype: nn.BatchNorm(C, dtype=dtype),
    lambda dtype: nn.BatchNorm(C, dtype=dtype).eval(),
    lambda dtype: nn.InstanceNorm(C, affine=True, track_running_stats=True, dtype=dtype),
    lambda dtype: nn.LayerNorm((C, S), dtype=dtype),
    lambda dtype: nn.RMSNorm(S, dtype=dtype),
    lambda dtype: nn.GroupNorm(2, C, dtype=dtype),
    lambda dtype: nn.BatchWhitening(C, eps=0.1, dtype=dtype),
    lambda dtype: nn.BatchWhitening(C, eps=0.1, dtype=dtype).eval(keep_inputs=True),
]
_CONSTRUCTORS: dict[str, Arguments] = {
    "AdaLayerNorm": {"normalized_shape": (4, 5), "eps": 1e-3, "offset": 1.0, "axis": (1, 2)},
    "AdaGroupNorm": {"num_groups": 2, "num_channels": 4, "eps": 1e-3, "offset": 1.0, "axis": 1},
    "AdaInstanceNorm": {"num_features": 4, "eps": 1e-3, "offset": 1.0, "axis": 1},
    "BatchNorm": {"num_features": 4, "eps": 1e-3, "momentum": 0.3, "affine": True, "axis": 1},
    "InstanceNorm": {"num_features": 4, "eps": 1e-3, "track_running_stats": True, "bias": False, "axis": 1},
    "BatchWhitening": {"num_features": 4, "groups": 2, "method": "zca", "iterations": 3, "dtype": "f4"},
    "GroupNorm": {"num_groups": 2, "num_channels": 4, "eps": 1e-3, "affine": True, "bias": False, "dtype": "f8"},
    "LayerNorm": {"normalized_shape": (4, 5), "eps": 1e-3, "elementwise_affine": True, "axis": (1, 2), "dtype": "f4"},
    "RMSNorm": {"normalized_shape": 5, "eps": 1e-3, "elementwise_affine": True, "offset": 1.0, "axis": -1},
}


def operations() -> list[str]:
    """Names of all functions, methods and layers."""
    constructors = [f"nn.{name}" for name in (*_CONSTRUCTORS, "WeightNorm", "WeightStandardization")]
    return [*FUNCTIONS, *(method.__name__ for method in METHODS), *constructors, "Quantize"]


def operation(name: str, make: Make, rng: np.random.Generator) -> tuple[Callable[..., Any], Arguments]:
    """What to call, and arguments of all names that it has."""
    for method in METHODS:
        if name == method.__name__:
            return method, _of_method(name, make, rng)
    if name == "Quantize":
        return fn.Quantize, {"scale": rng.uniform(0.1, 1, C), "zero_point": rng.integers(-5, 5, C), "dtype": np.int8}
    if name.startswith("nn.Weight"):
        options = {"axis": 0, "eps": 0.1}
        return getattr(nn, name[3:]), {"weight": make(*SHAPE), **options}
    if name.startswith("nn."):
        return getattr(nn, name[3:]), dict(_CONSTRUCTORS[name[3:]])
    function = getattr(fn, name)
    arguments = _family(name)(name, make, rng)
    return function, {key: arguments[key] for key in inspect.signature(function).parameters}


def _of_method(name: str, make: Make, rng: np.random.Generator) -> Arguments:
    if name.startswith("whitening"):
        fit = fn.fit_whitening(rng.standard_normal((12, 3)), eps=0.1)
        other = fn.fit_whitening(rng.standard_normal((12, 3)), eps=0.1)
        data = {"x": make(8, 3), "z": make(8, 3), "out": make(8, 3), "other": other}
        by_name = {"transform": ("x", "out"), "inverse_transform": ("z", "out"), "update": ("x",), "merge": ("other",)}
        return {"self": fit, **{key: data[key] for key in by_name[name.removeprefix("whitening_")]}}
    layer = _LAYERS[rng.integers(len(_LAYERS))](make(1).dtype)
    if name == "layer_load":
        return {"self": layer, "state": layer.state_dict()}
    x = make(*SHAPE)
    if name == "layer_call":
        return {"self": layer, "x": x}
    if not layer.training:
        layer.eval(keep_inputs=True)
    layer(x)
    return {"self": layer, "dy": make(*SHAPE)}
