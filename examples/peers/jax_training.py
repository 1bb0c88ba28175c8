"""Train a small residual network of convolutions with group norm in JAX, with JAX's norm and with fastnorm's."""

import argparse
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import fastnorm.jax

CHANNELS, GROUPS, CLASSES, RATE = 32, 8, 4, 0.05
Norm = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]
Parameters = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small images, few steps")
    quick = parser.parse_args().quick
    images, size, steps = (8, 8, 3) if quick else (16, 32, 30)

    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(images, size, size, CHANNELS)), jnp.float32)
    labels = jnp.asarray(rng.integers(CLASSES, size=images))
    losses = {}
    for name, norm in (("without", plain_norm), ("with fastnorm", fast_norm)):
        step, parameters, seconds = training_step(norm), initial(rng=np.random.default_rng(1)), []
        for _ in range(steps):
            start = time.perf_counter()
            parameters, loss = jax.block_until_ready(step(parameters, x, labels))
            seconds.append(time.perf_counter() - start)
        losses[name] = float(loss)
        print(f"{name:14} {min(seconds) * 1e3:.1f} ms a step, loss {loss:.4f}")
    print(f"difference of the losses {abs(losses['without'] - losses['with fastnorm']):.1e}")


def plain_norm(x: jax.Array, weight: jax.Array, bias: jax.Array) -> jax.Array:
    groups = x.reshape(*x.shape[:-1], GROUPS, -1)
    centred = groups - groups.mean((1, 2, 4), keepdims=True)
    rstd = jax.lax.rsqrt((centred**2).mean((1, 2, 4), keepdims=True) + 1e-5)
    return (centred * rstd).reshape(x.shape) * weight + bias


def fast_norm(x: jax.Array, weight: jax.Array, bias: jax.Array) -> jax.Array:
    return fastnorm.jax.group_norm(x, GROUPS, weight, bias)


def initial(rng: np.random.Generator, blocks: int = 3) -> Parameters:
    def array(*shape: int, scale: float) -> jax.Array:
        return jnp.asarray(rng.normal(0, scale, shape), jnp.float32)

    return {
        "blocks": [
            {
                "weight": jnp.ones(CHANNELS),
                "bias": jnp.zeros(CHANNELS),
                "kernel": array(3, 3, CHANNELS, CHANNELS, scale=0.05),
            }
            for _ in range(blocks)
        ],
        "head": array(CHANNELS, CLASSES, scale=0.1),
    }


def training_step(norm: Norm) -> Callable[..., tuple[Parameters, jax.Array]]:
    def loss(parameters: Parameters, x: jax.Array, labels: jax.Array) -> jax.Array:
        for block in parameters["blocks"]:
            z = jax.nn.silu(norm(x, block["weight"], block["bias"]))
            x = x + jax.lax.conv_general_dilated(
                z, block["kernel"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
            )
        scores = jax.nn.log_softmax(x.mean((1, 2)) @ parameters["head"])
        return -jnp.take_along_axis(scores, labels[:, None], 1).mean()

    @jax.jit
    def step(parameters: Parameters, x: jax.Array, labels: jax.Array) -> tuple[Parameters, jax.Array]:
        value, gradients = jax.value_and_grad(loss)(parameters, x, labels)
        return jax.tree.map(lambda p, g: p - RATE * g, parameters, gradients), value

    return step


if __name__ == "__main__":
    main()
