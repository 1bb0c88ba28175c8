"""Keras, Flax, timm and published code as formulas in NumPy; `layers` has some of them run by the library itself."""

from typing import Any

import numpy as np

from .case import LAST, Array, Case, data, numbers


def _channel_last() -> dict[str, Any]:
    return data(*LAST, channel_axis=-1)


def _rsqrt(x: Array) -> Array:
    return 1 / np.sqrt(x)


def _moments(x: Array, axes: tuple[int, ...]) -> tuple[Array, Array]:
    return x.mean(axis=axes, keepdims=True), x.var(axis=axes, keepdims=True)


def _groups(x: Array, groups: int) -> Array:
    """Channel last data with an axis more: groups, and neighbouring channels of a group."""
    return x.reshape(*x.shape[:-1], groups, -1)


def _batch_norm_training(eps: float, momentum: float) -> Case:
    given = _channel_last()
    mean, var = given["x"].mean(axis=(0, 1, 2)), given["x"].var(axis=(0, 1, 2))
    y = (given["x"] - mean) * (_rsqrt(var + eps) * given["weight"]) + given["bias"]
    running_mean = momentum * given["running_mean"] + (1 - momentum) * mean
    running_var = momentum * given["running_var"] + (1 - momentum) * var
    return Case(given, {"y": y, "running_mean": running_mean, "running_var": running_var})


def _batch_norm(eps: float) -> Case:
    given = _channel_last()
    scale = given["weight"] * _rsqrt(given["running_var"] + eps)
    return Case(given, {"y": given["x"] * scale + (given["bias"] - given["running_mean"] * scale)})


def _layer_norm(eps: float) -> Case:
    given = _channel_last()
    mean, var = _moments(given["x"], (-1,))
    return Case(given, {"y": (given["x"] - mean) * (_rsqrt(var + eps) * given["weight"]) + given["bias"]})


def _group_norm(eps: float, groups: int, given: dict[str, Any]) -> Case:
    x = _groups(given["x"], groups)
    mean, var = _moments(x, (1, 2, 4))
    y = ((x - mean) * _rsqrt(var + eps)).reshape(given["x"].shape) * given["weight"] + given["bias"]
    return Case(given, {"y": y})


def _rms_norm(eps: float) -> Case:
    x, weight = numbers(6, 96, scale=1e-3), numbers(96, seed=1)
    return Case({"x": x, "weight": weight}, {"y": x * _rsqrt((x**2).mean(-1, keepdims=True) + eps) * weight})


def keras_batch_norm_training() -> Case:
    return _batch_norm_training(eps=1e-3, momentum=0.99)


def keras_batch_norm() -> Case:
    return _batch_norm(eps=1e-3)


def keras_layer_norm() -> Case:
    return _layer_norm(eps=1e-3)


def keras_layer_norm_rms_scaling() -> Case:
    given = _channel_last()
    _, var = _moments(given["x"], (-1,))
    return Case(given, {"y": given["x"] * _rsqrt(var + 1e-3) * given["weight"]})


def keras_rms_norm() -> Case:
    return _rms_norm(eps=1e-6)


def keras_unit_norm() -> Case:
    x = numbers(6, 96, scale=1e-3)
    return Case({"x": x}, {"y": x * _rsqrt(np.maximum((x**2).sum(-1, keepdims=True), 1e-12))})


def keras_group_norm() -> Case:
    return _group_norm(1e-3, 4, _channel_last() | {"groups": 4})


def keras_group_norm_of_instances() -> Case:
    return _group_norm(1e-3, 8, _channel_last())


def flax_batch_norm_training() -> Case:
    return _batch_norm_training(eps=1e-5, momentum=0.99)


def flax_batch_norm() -> Case:
    return _batch_norm(eps=1e-5)


def flax_layer_norm() -> Case:
    return _layer_norm(eps=1e-6)


def flax_rms_norm() -> Case:
    return _rms_norm(eps=1e-6)


def flax_group_norm() -> Case:
    return _group_norm(1e-6, 4, _channel_last() | {"groups": 4})


def flax_instance_norm() -> Case:
    return _group_norm(1e-6, 8, _channel_last())


def flax_weight_norm() -> Case:
    v, g = numbers(5, 8, scale=2.0**-20), numbers(8, seed=1)
    return Case({"v": v, "g": g}, {"y": v * _rsqrt((v**2).sum(axis=0) + 1e-12) * g})


def _filters(*shape: int, scale: float) -> tuple[Array, Array, Array]:
    w = numbers(*shape, scale=scale) + scale
    flat = w.reshape(len(w), -1)
    return w, flat.mean(1).reshape(-1, 1, 1, 1), flat.var(1).reshape(-1, 1, 1, 1)


def timm_std_conv() -> Case:
    w, mean, var = _filters(8, 3, 3, 2, scale=2.0**-9)
    return Case({"w": w}, {"y": (w - mean) * _rsqrt(var + 1e-6)})


def timm_scaled_std_conv() -> Case:
    w, mean, var = _filters(8, 3, 3, 2, scale=2.0**-9)
    gain, gamma = numbers(8, seed=1), 1.7
    scale = gain.reshape(-1, 1, 1, 1) * gamma * 18**-0.5
    return Case({"w": w, "gain": gain, "gamma": gamma}, {"y": (w - mean) * _rsqrt(var + 1e-6) * scale})


def timm_layer_norm_2d() -> Case:
    given = data(6, 8, 5, 4)
    mean, var = _moments(given["x"], (1,))
    weight, bias = (given[name].reshape(-1, 1, 1) for name in ("weight", "bias"))
    return Case(given, {"y": (given["x"] - mean) * _rsqrt(var + 1e-6) * weight + bias})


def bit_std_conv() -> Case:
    w = numbers(3, 3, 2, 8, scale=1e-4)
    mean, var = w.mean(axis=(0, 1, 2)), w.var(axis=(0, 1, 2))
    return Case({"w": w}, {"y": (w - mean) / np.sqrt(var + 1e-10)})


def authors_weight_standardization() -> Case:
    w, mean, _ = _filters(8, 3, 3, 2, scale=1e-3)
    std = w.reshape(8, -1).std(axis=1, ddof=1).reshape(-1, 1, 1, 1)
    return Case({"w": w}, {"y": (w - mean) / (std + 1e-5)})


def nfnet_std_conv() -> Case:
    w = numbers(3, 3, 2, 8, scale=1e-3)
    w[..., :4] *= 100  # filters on both sides of eps
    gain = numbers(8, seed=1)
    mean, var = w.mean(axis=(0, 1, 2)), w.var(axis=(0, 1, 2))
    y = (w - mean) * _rsqrt(np.maximum(var * 18, 1e-4)) * gain
    return Case({"w": w, "gain": gain}, {"y": y})
