"""The passes under PyTorch's automatic differentiation: a Function in eager mode, operators when it compiles."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from . import _passes

# Operators of the namespace fastnorm, by operation.
_OPERATORS: dict[str, Callable[..., Any]] = {}


def normalize(
    operation: str,
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    n: int,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the output, mean and rstd; differentiable."""
    if torch.compiler.is_compiling():
        return _OPERATORS[operation](x, weight, bias, n, eps)  # type: ignore[no-any-return]
    if _differentiates(x, weight, bias):
        return _Norm.apply(operation, x, weight, bias, n, eps)  # type: ignore[no-any-return]
    return _passes.forward(operation, x, weight, bias, n, eps)


def output(operation: str, x: Tensor, weight: Tensor | None, bias: Tensor | None, n: int, eps: float) -> Tensor:
    """Return the output of all but batch norm; differentiable, and cheaper where nothing is differentiated."""
    if torch.compiler.is_compiling() or _differentiates(x, weight, bias):
        return normalize(operation, x, weight, bias, n, eps)[0]
    return _passes.inference(operation, x, weight, bias, n, eps)


def _differentiates(*tensors: Tensor | None) -> bool:
    return torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)


class _Norm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, operation: str, x: Tensor, weight: Tensor | None, bias: Tensor | None, n: int, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        result = _passes.forward(operation, x, weight, bias, n, eps)
        ctx.save_for_backward(x, weight, bias, *result[1:])
        ctx.options = operation, n, eps
        ctx.mark_non_differentiable(*result[1:])
        return result

    @staticmethod
    def backward(ctx: Any, dy: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias, mean, rstd = ctx.saved_tensors
        operation, n, eps = ctx.options
        mask = tuple(ctx.needs_input_grad[1:4])
        if torch.is_grad_enabled():
            gradients = _differentiable(operation, dy, (x, weight, bias), mask, n, eps)
        else:
            gradients = _passes.backward(operation, dy, x, weight, mean, rstd, n, mask)
        return (None, *gradients, None, None)


def _differentiable(
    operation: str,
    dy: Tensor,
    inputs: tuple[Tensor, Tensor | None, Tensor | None],
    mask: tuple[bool, ...],
    n: int,
    eps: float,
) -> tuple[Tensor | None, ...]:
    """Gradients that can be differentiated themselves: PyTorch's own."""
    y = _passes.native(operation, *inputs, n, eps)
    asked = [t for t, wanted in zip(inputs, mask, strict=True) if wanted]
    found = iter(torch.autograd.grad(y, asked, dy, create_graph=True))
    return tuple(next(found) if wanted else None for wanted in mask)


def _define(operation: str) -> None:
    """Make the operators of an operation, which `torch.compile` keeps whole."""
    forward = torch.library.custom_op(
        f"fastnorm::{operation}",
        partial(_passes.forward, operation),
        mutates_args=(),
        schema="(Tensor x, Tensor? weight, Tensor? bias, int n, float eps) -> (Tensor, Tensor, Tensor)",
    )
    gradient_operator = torch.library.custom_op(
        f"fastnorm::{operation}_backward",
        partial(_all_gradients, operation),
        mutates_args=(),
        schema="(Tensor dy, Tensor x, Tensor? weight, Tensor mean, Tensor rstd, int n) -> (Tensor, Tensor, Tensor)",
    )

    def fake(x: Tensor, weight: Tensor | None, bias: Tensor | None, n: int, eps: float) -> tuple[Tensor, ...]:
        rstd = x.new_empty(_passes.statistics_shape(operation, x, n), dtype=torch.float64)
        mean = x.new_empty(0, dtype=torch.float64) if operation == "rms_norm" else torch.empty_like(rstd)
        return torch.empty_like(x), mean, rstd

    def fake_backward(
        dy: Tensor, x: Tensor, weight: Tensor | None, mean: Tensor, rstd: Tensor, n: int
    ) -> tuple[Tensor, ...]:
        last = operation in ("layer_norm", "rms_norm")
        of_parameters = x.shape[x.dim() - n :] if last else (x.shape[1],)
        like = x if weight is None else weight
        return torch.empty_like(x), *(like.new_empty(of_parameters) for _ in range(2))

    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        x, weight, bias, ctx.n, _ = inputs
        ctx.has = weight is not None, bias is not None
        ctx.save_for_backward(x, weight, *output[1:])
        ctx.mark_non_differentiable(*output[1:])

    def gradients(ctx: Any, dy: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        dx, dweight, dbias = gradient_operator(dy, *ctx.saved_tensors, ctx.n)
        has_weight, has_bias = ctx.has
        return dx, dweight if has_weight else None, dbias if has_bias else None, None, None

    forward.register_fake(fake)
    gradient_operator.register_fake(fake_backward)
    forward.register_autograd(gradients, setup_context=setup_context)
    _OPERATORS[operation] = getattr(torch.ops.fastnorm, operation)


def _all_gradients(
    operation: str, dy: Tensor, x: Tensor, weight: Tensor | None, mean: Tensor, rstd: Tensor, n: int
) -> tuple[Tensor | None, ...]:
    return _passes.backward(operation, dy, x, weight, mean, rstd, n, (True, True, True))


for _operation in _passes.OPERATIONS:
    _define(_operation)
