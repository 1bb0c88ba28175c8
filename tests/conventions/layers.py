"""Layers of Keras, Flax and timm, in a process of their own: ``python -m conventions.layers keras FILE.npz``.

The process reads what its rows are given, and writes the results, in float32. Their libraries choose backends by
environment variables, start threads and warn as they are imported: nothing for the process that runs all tests.
"""

import os
import sys
from typing import Any

import numpy as np

from . import formulas

os.environ["KERAS_BACKEND"] = "numpy"
os.environ["JAX_PLATFORMS"] = "cpu"


def _keras(name: str, given: dict[str, Any]) -> dict[str, Any]:
    from keras import layers

    x, weight, bias = given["x"], given.get("weight"), given.get("bias")
    groups = given.get("groups", -1)
    layer = {
        "keras_batch_norm_training": lambda: layers.BatchNormalization(),
        "keras_batch_norm": lambda: layers.BatchNormalization(),
        "keras_layer_norm": lambda: layers.LayerNormalization(),
        "keras_layer_norm_rms_scaling": lambda: layers.LayerNormalization(rms_scaling=True),
        "keras_rms_norm": lambda: layers.RMSNormalization(),
        "keras_unit_norm": lambda: layers.UnitNormalization(),
        "keras_group_norm": lambda: layers.GroupNormalization(groups),
        "keras_group_norm_of_instances": lambda: layers.GroupNormalization(-1),
    }[name]()
    layer.build(x.shape)
    arguments = {}
    if "batch" in name:
        layer.set_weights([weight, bias, given["running_mean"], given["running_var"]])
        arguments["training"] = name.endswith("training")
    else:
        layer.set_weights([weight, bias][: len(layer.weights)])
    results = {"y": layer(x, **arguments)}
    if name.endswith("training"):
        results |= {"running_mean": layer.moving_mean, "running_var": layer.moving_variance}
    return {key: np.asarray(value) for key, value in results.items()}


def _flax(name: str, given: dict[str, Any]) -> dict[str, Any]:
    from flax import linen

    layer = {
        "flax_batch_norm_training": lambda: linen.BatchNorm(use_running_average=False),
        "flax_batch_norm": lambda: linen.BatchNorm(use_running_average=True),
        "flax_layer_norm": lambda: linen.LayerNorm(),
        "flax_rms_norm": lambda: linen.RMSNorm(),
        "flax_group_norm": lambda: linen.GroupNorm(given["groups"]),
        "flax_instance_norm": lambda: linen.InstanceNorm(),
        "flax_weight_norm": lambda: linen.WeightNorm(linen.Dense(given["g"].size, use_bias=False)),
    }[name]()
    if name == "flax_weight_norm":  # what a dense layer makes of the identity are its weights
        parameters = {"layer_instance": {"kernel": given["v"]}, "layer_instance/kernel/scale": given["g"]}
        return {"y": layer.apply({"params": parameters}, np.eye(len(given["v"]), dtype=np.float32))}
    variables = {"params": {"scale": given["weight"]} | ({"bias": given["bias"]} if "bias" in given else {})}
    if "batch" not in name:
        return {"y": layer.apply(variables, given["x"])}
    variables["batch_stats"] = {"mean": given["running_mean"], "var": given["running_var"]}
    y, changed = layer.apply(variables, given["x"], mutable=["batch_stats"])
    stats = changed["batch_stats"]
    return {"y": y, "running_mean": stats["mean"], "running_var": stats["var"]}


def _timm(name: str, given: dict[str, Any]) -> dict[str, Any]:
    import torch

    try:
        import torchvision  # noqa: F401
    except RuntimeError:  # it was built for another PyTorch, and timm only wants to import it
        for operator in ("nms", "qnms"):
            torch.library.define(f"torchvision::{operator}", "(Tensor boxes, Tensor scores, float most) -> Tensor")
    from timm import layers

    tensors = {key: torch.from_numpy(value) for key, value in given.items() if isinstance(value, np.ndarray)}
    with torch.no_grad():
        if name == "timm_layer_norm_2d":
            norm = layers.LayerNorm2d(len(given["weight"]))
            norm.weight.copy_(tensors["weight"])
            norm.bias.copy_(tensors["bias"])
            return {"y": norm(tensors["x"]).numpy()}
        filters, *window = given["w"].shape
        if name == "timm_std_conv":
            conv = layers.StdConv2d(window[0], filters, tuple(window[1:]), padding=0)
        else:
            conv = layers.ScaledStdConv2d(window[0], filters, window[1:], padding=0, bias=False, gamma=given["gamma"])
            conv.gain.copy_(tensors["gain"].reshape(-1, 1, 1, 1))
        conv.weight.copy_(tensors["w"])
        # What a convolution makes of images of one pixel each are its weights.
        y = conv(torch.eye(conv.weight[0].numel()).reshape(-1, *window))
        return {"y": y.numpy().reshape(-1, filters).T.reshape(given["w"].shape)}


def main(library: str, path: str) -> None:
    run = {"keras": _keras, "flax": _flax, "timm": _timm}[library]
    results = {}
    for name, row in vars(formulas).items():
        if name.startswith(f"{library}_"):
            given = {k: np.float32(v) if isinstance(v, np.ndarray) else v for k, v in row().given.items()}
            results |= {f"{name}/{key}": np.asarray(value) for key, value in run(name, given).items()}
    np.savez(path, **results)


if __name__ == "__main__":
    main(*sys.argv[1:])
