"""PyTorch's functions and layers."""

import numpy as np
import torch
from torch.nn import functional

from .case import CHANNELS, FIRST, Array, Case, data, numbers


def _tensors(given: dict[str, Array]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(value.copy()) for name, value in given.items()}


def torch_batch_norm_training() -> Case:
    given = data(*FIRST)
    t = _tensors(given)
    y = functional.batch_norm(t["x"], t["running_mean"], t["running_var"], t["weight"], t["bias"], training=True)
    return Case(given, {"y": y, "running_mean": t["running_mean"], "running_var": t["running_var"]})


def torch_batch_norm_cumulative() -> Case:
    given = data(*FIRST)
    layer = torch.nn.BatchNorm2d(CHANNELS, momentum=None, affine=False, dtype=torch.float64)
    n = 3
    for i in range(n):
        before = {"running_mean": layer.running_mean.numpy().copy(), "running_var": layer.running_var.numpy().copy()}
        y = layer(torch.from_numpy(given["x"] + i))
    given |= before | {"x": given["x"] + n - 1, "n": n}
    return Case(given, {"y": y, "running_mean": layer.running_mean, "running_var": layer.running_var})


def torch_batch_norm() -> Case:
    given = data(*FIRST)
    t = _tensors(given)
    return Case(
        given, {"y": functional.batch_norm(t["x"], t["running_mean"], t["running_var"], t["weight"], t["bias"])}
    )


def torch_layer_norm() -> Case:
    x, weight, bias = numbers(4, 5, 3, scale=0.03), numbers(5, 3, seed=1), numbers(5, 3, seed=2)
    y = functional.layer_norm(*map(torch.from_numpy, (x,)), (5, 3), torch.from_numpy(weight), torch.from_numpy(bias))
    return Case({"x": x, "weight": weight, "bias": bias, "k": 1}, {"y": y})


def torch_rms_norm() -> Case:
    x, weight = numbers(4, 5, scale=1e-8), numbers(5, seed=1)
    return Case(
        {"x": x, "weight": weight}, {"y": functional.rms_norm(torch.from_numpy(x), (5,), torch.from_numpy(weight))}
    )


def torch_normalize() -> Case:
    x = numbers(4, 8, 5)
    x[0, :, 0] = 0
    return Case({"x": x, "k": 1}, {"y": functional.normalize(torch.from_numpy(x), dim=1)})


def torch_group_norm() -> Case:
    given = data(*FIRST) | {"groups": 4}
    t = _tensors(data(*FIRST))
    return Case(given, {"y": functional.group_norm(t["x"], 4, t["weight"], t["bias"])})


def torch_instance_norm_training() -> Case:
    given = data(*FIRST)
    layer = torch.nn.InstanceNorm2d(CHANNELS, track_running_stats=True, dtype=torch.float64)
    given |= {"running_mean": np.zeros(CHANNELS), "running_var": np.ones(CHANNELS)}
    y = layer(torch.from_numpy(given["x"]))
    return Case(given, {"y": y, "running_mean": layer.running_mean, "running_var": layer.running_var})


def torch_instance_norm_eval() -> Case:
    given = data(*FIRST)
    t = _tensors(given)
    y = functional.instance_norm(t["x"], t["running_mean"], t["running_var"], use_input_stats=False)
    return Case(given, {"y": y})


def torch_weight_norm() -> Case:
    v, g, k = numbers(4, 3, 2), numbers(1, 3, 1, seed=1), 1
    return Case({"v": v, "g": g, "k": k}, {"y": torch._weight_norm(torch.from_numpy(v), torch.from_numpy(g), k)})


def torch_weight_norm_whole() -> Case:
    layer = torch.nn.Linear(3, 4, dtype=torch.float64)
    torch.nn.utils.parametrizations.weight_norm(layer, dim=-1)  # the whole tensor, to PyTorch
    g, v = (p.detach().numpy() for p in layer.parametrizations.weight.parameters())
    return Case({"v": v, "g": g * 2}, {"y": 2 * layer.weight.detach()})


def torch_adaptive_layer_norm() -> Case:
    x, scale, shift = numbers(3, 5, 8), numbers(3, 8, seed=1), numbers(3, 8, seed=2)
    tx, tscale, tshift = (torch.from_numpy(a) for a in (x, scale[:, None], shift[:, None]))
    y = functional.layer_norm(tx, (8,)) * (1 + tscale) + tshift
    return Case({"x": x, "scale": scale, "shift": shift}, {"y": y})


def _per_channel() -> tuple[dict[str, Array], list[torch.Tensor]]:
    given = {"x": data(*FIRST)["x"], "scale": numbers(6, CHANNELS, seed=1), "shift": numbers(6, CHANNELS, seed=2)}
    return given, [torch.from_numpy(given[name][:, :, None, None]) for name in ("scale", "shift")]


def torch_adaptive_instance_norm() -> Case:
    given, (scale, shift) = _per_channel()
    return Case(given, {"y": functional.instance_norm(torch.from_numpy(given["x"])) * scale + shift})


def torch_adaptive_group_norm() -> Case:
    given, (scale, shift) = _per_channel()
    y = functional.group_norm(torch.from_numpy(given["x"]), 4) * (1 + scale) + shift
    return Case(given | {"groups": 4}, {"y": y})


def torch_weight_norm_transposed() -> Case:
    groups, v, g = 2, numbers(6, 4, 3), numbers(1, 8, 1, seed=1)
    parts = zip(np.split(v, groups), np.split(g, groups, axis=1), strict=True)
    y = [torch._weight_norm(torch.from_numpy(a.copy()), torch.from_numpy(b.copy()), 1) for a, b in parts]
    return Case({"v": v, "g": g, "groups": groups}, {"y": torch.cat(y)})


def torch_qk_norm() -> Case:
    heads, weight = numbers(2, 5, 3, 4, 8), numbers(8, seed=1)  # queries, keys and values, side by side
    x = heads[:, :, 0]
    return Case(
        {"x": x, "weight": weight}, {"y": functional.rms_norm(torch.from_numpy(x), (8,), torch.from_numpy(weight))}
    )


def llama_rms_norm() -> Case:
    x, weight = numbers(64, 96).astype(np.float16), numbers(96, seed=1).astype(np.float16)
    wide = torch.from_numpy(x).float()
    normalized = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-6)
    y = torch.from_numpy(weight) * normalized.half()
    return Case({"x": x, "weight": weight}, {"y": y}, same_bits=True, near="fn.rms_norm(x, weight, eps=1e-6)")


def gemma_rms_norm() -> Case:
    x, weight = numbers(64, 96).astype(np.float16), numbers(96, scale=0.2, seed=1).astype(np.float16)
    wide = torch.from_numpy(x).float()
    normalized = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-6)
    y = (normalized * (1.0 + torch.from_numpy(weight).float())).half()
    near = "fn.rms_norm(x, 1 + weight, eps=1e-6)"
    return Case({"x": x, "weight": weight}, {"y": y}, same_bits=True, near=near)
