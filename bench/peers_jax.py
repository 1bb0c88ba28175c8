"""Compiled norms in JAX: the formula as XLA compiles it, and `fastnorm.jax`; alone, and with their gradients."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import fastnorm.jax as fnj
from with_without import compare, heading

GROUPS = 32


def main() -> None:
    heading("jax", jax.__version__)
    for shape in ((1, 768), (64, 256), (256, 768), (4096, 768)):
        pair("layer norm", shape, plain_layer_norm, fnj.layer_norm)
    pair("RMS norm", (256, 768), plain_rms_norm, lambda x, weight, _: fnj.rms_norm(x, weight))
    pair("group norm", (2, 64, 64, 320), plain_group_norm, lambda x, *p: fnj.group_norm(x, GROUPS, *p))


def pair(name: str, shape: tuple[int, ...], plain: Callable[..., Any], fast: Callable[..., Any]) -> None:
    x = jnp.asarray(np.random.default_rng(0).normal(size=shape), jnp.float32)
    parameters = jnp.linspace(0.5, 2, shape[-1]), jnp.linspace(-1, 1, shape[-1])
    text = f"{name} {'x'.join(map(str, shape))}"
    compare(text, *(ready(jax.jit(f), x, *parameters) for f in (plain, fast)))
    gradients = [jax.jit(partial(pull, f)) for f in (plain, fast)]
    compare(f"{text}, with gradients", *(ready(f, x, x, *parameters) for f in gradients))


def pull(function: Callable[..., Any], dy: Any, *arguments: Any) -> Any:
    y, back = jax.vjp(function, *arguments)
    return y, back(dy)


def ready(function: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
    return lambda: jax.block_until_ready(function(*arguments))


def plain_layer_norm(x: Any, weight: Any, bias: Any) -> Any:
    centred = x - x.mean(-1, keepdims=True)
    return centred * jax.lax.rsqrt(jnp.square(centred).mean(-1, keepdims=True) + 1e-5) * weight + bias


def plain_rms_norm(x: Any, weight: Any, _: Any) -> Any:
    return x * jax.lax.rsqrt(jnp.square(x).mean(-1, keepdims=True) + 1e-6) * weight


def plain_group_norm(x: Any, weight: Any, bias: Any) -> Any:
    groups = x.reshape(*x.shape[:-1], GROUPS, -1)
    centred = groups - groups.mean((1, 2, 4), keepdims=True)
    rstd = jax.lax.rsqrt(jnp.square(centred).mean((1, 2, 4), keepdims=True) + 1e-5)
    return (centred * rstd).reshape(x.shape) * weight + bias


if __name__ == "__main__":
    main()
