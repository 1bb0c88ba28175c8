"""JAX on the CPU: the formulas as its users write them, compiled. It has no setting for the number of threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from candidate import Candidate
from fastnorm import Gradients
from problems import Problem

jax.config.update("jax_enable_x64", True)


class Jax:
    """Inference and backward of the operations over fixed axes."""

    name = "JAX"
    version = jax.__version__
    counterpart = "fastnorm"

    def candidate(self, problem: Problem, threads: int) -> Candidate | None:
        """Return the compiled call; only for as many threads as JAX finds processors."""
        formula = _formula(problem)
        if formula is None or problem.direction == "forward" or threads != _processors():
            return None
        names = [name for name in ("x", "weight", "bias") if name in problem.arguments]
        arrays = [jnp.asarray(problem.arguments[name]) for name in names]
        if problem.direction == "inference":
            call = jax.jit(formula)
            return Candidate(lambda: call(*arrays).block_until_ready(), np.asarray)
        pull = jax.jit(lambda dy, *a: jax.vjp(formula, *a)[1](dy))
        dy = jnp.asarray(problem.gradient)
        return Candidate(lambda: jax.block_until_ready(pull(dy, *arrays)), _gradients)


def _processors() -> int:
    import os

    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _gradients(result: tuple[Any, ...]) -> Gradients:
    dx, dweight, *rest = (np.asarray(a) for a in result)
    return Gradients(dx, dweight, rest[0] if rest else None)


def _formula(problem: Problem) -> Callable[..., Any] | None:
    """Return y of x, weight and bias."""
    ndim, op, axis = problem.data.ndim, problem.op, problem.axis
    along = tuple(-1 if a == axis else 1 for a in range(ndim))
    if op in ("layer_norm", "rms_norm"):
        axes: tuple[int, ...] = (axis,)
    elif op == "batch_norm" and problem.direction == "backward":
        axes = tuple(a for a in range(ndim) if a != axis)
    elif op == "instance_norm":
        axes = tuple(a for a in range(1, ndim) if a != axis)
    else:
        return None

    def normalize(x: Any, weight: Any, bias: Any = None) -> Any:
        mean = 0 if op == "rms_norm" else x.mean(axis=axes, keepdims=True)
        eps = 1e-6 if op == "rms_norm" else 1e-5
        scale = jax.lax.rsqrt(((x - mean) ** 2).mean(axis=axes, keepdims=True) + eps)
        y = (x - mean) * scale * weight.reshape(along)
        return y if bias is None else y + bias.reshape(along)

    return normalize
