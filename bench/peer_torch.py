"""PyTorch's normalizations on the CPU, called the way its users call them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from candidate import Candidate
from fastnorm import Gradients
from problems import Array, Problem

_LAST = ("layer_norm", "rms_norm")  # normalize the last axis; the others have their channels on axis 1


class Torch:
    """PyTorch: forward without, backward with its automatic differentiation."""

    name = "PyTorch"
    version: str = torch.__version__
    counterpart = "fastnorm"

    def candidate(self, problem: Problem, threads: int) -> Candidate | None:
        """Return the call; the number of threads holds until the next one."""
        if problem.op not in _FUNCTIONS:
            return None
        torch.set_num_threads(threads)
        axis, place = problem.axis, -1 if problem.op in _LAST else 1
        tensors = {name: _tensor(a) for name, a in problem.arguments.items() if name in _TENSORS}
        # PyTorch's channels_last is this too: axes in the order NCHW, and the strides of NHWC.
        tensors["x"] = tensors["x"].movedim(axis, place)
        forward = _FUNCTIONS[problem.op](problem, tensors)
        if problem.direction == "backward":
            assert problem.gradient is not None
            return _backward(forward, tensors, _tensor(problem.gradient).movedim(axis, place), (place, axis))
        return Candidate(torch.no_grad()(forward), lambda y: _array(y.movedim(place, axis)))


_TENSORS = ("x", "weight", "bias", "running_mean", "running_var")


def _backward(
    forward: Callable[[], torch.Tensor], tensors: dict[str, torch.Tensor], dy: torch.Tensor, back: tuple[int, int]
) -> Candidate:
    wanted = [tensors[name] for name in ("x", "weight", "bias") if name in tensors]
    for tensor in wanted:
        tensor.requires_grad_()
    y = forward()

    def answer(gradients: tuple[torch.Tensor, ...]) -> Gradients:
        dx, *rest = gradients
        return Gradients(_array(dx.movedim(*back)), _array(rest[0]), _array(rest[1]) if len(rest) > 1 else None)

    return Candidate(lambda: torch.autograd.grad(y, wanted, dy, retain_graph=True), answer)


def _tensor(array: Array) -> torch.Tensor:
    if array.dtype.name == "bfloat16":  # of ml_dtypes, which PyTorch does not know
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def _array(tensor: torch.Tensor) -> Array:
    tensor = tensor.detach()
    if tensor.dtype == torch.bfloat16:
        import ml_dtypes

        bits: Array = tensor.view(torch.int16).numpy()
        return bits.view(ml_dtypes.bfloat16)
    array: Array = tensor.numpy()
    return array


# ---- the operations --------------------------------------------------------------------------------------------------


def _batch_norm(problem: Problem, t: dict[str, torch.Tensor]) -> Callable[[], Any]:
    mean, var, training = t.get("running_mean"), t.get("running_var"), problem.direction != "inference"
    return lambda: torch.nn.functional.batch_norm(t["x"], mean, var, t["weight"], t["bias"], training, 0.0, 1e-5)


def _layer_norm(problem: Problem, t: dict[str, torch.Tensor]) -> Callable[[], Any]:
    shape = tuple(t["weight"].shape)
    return lambda: torch.nn.functional.layer_norm(t["x"], shape, t["weight"], t["bias"], 1e-5)


def _rms_norm(problem: Problem, t: dict[str, torch.Tensor]) -> Callable[[], Any]:
    shape = tuple(t["weight"].shape)
    return lambda: torch.nn.functional.rms_norm(t["x"], shape, t["weight"], 1e-6)


def _group_norm(problem: Problem, t: dict[str, torch.Tensor]) -> Callable[[], Any]:
    groups = problem.arguments["num_groups"]
    return lambda: torch.nn.functional.group_norm(t["x"], groups, t["weight"], t["bias"], 1e-5)


def _instance_norm(problem: Problem, t: dict[str, torch.Tensor]) -> Callable[[], Any]:
    return lambda: torch.nn.functional.instance_norm(t["x"], weight=t["weight"], bias=t["bias"], eps=1e-5)


_FUNCTIONS = {
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "rms_norm": _rms_norm,
    "group_norm": _group_norm,
    "instance_norm": _instance_norm,
}
