"""A network with layer norm, trained by HIPS autograd: the norm as NumPy code, and as a primitive of fastnorm."""

import argparse
from collections.abc import Callable
from itertools import pairwise
from timeit import repeat
from typing import Any

import autograd.numpy as np
from autograd import grad
from autograd.misc.optimizers import adam

import fastnorm.autograd as fna

SAMPLES, WIDTH, LAYERS = 256, 512, 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few steps")
    steps, rounds = (5, 2) if parser.parse_args().quick else (50, 20)

    rng = np.random.RandomState(0)
    x = rng.normal(size=(SAMPLES, 16))
    y = np.sin(x.sum(axis=1, keepdims=True))
    start = parameters(rng)
    for name, norm in (("NumPy", layer_norm), ("fastnorm", fna.layer_norm)):
        gradient = grad(lambda p, norm=norm: np.mean((network(p, x, norm) - y) ** 2))
        trained = adam(lambda p, step, gradient=gradient: gradient(p), start, num_iters=steps)
        error = np.mean((network(trained, x, norm) - y) ** 2)
        seconds = min(repeat(lambda gradient=gradient: gradient(start), number=1, repeat=rounds))
        print(f"layer norm of {name:8} {seconds * 1e3:6.1f} ms a step, error {error:.4f} after {steps} steps")


def layer_norm(x: Any, weight: Any, bias: Any) -> Any:
    """As one writes it in NumPy."""
    centred = x - np.mean(x, axis=-1, keepdims=True)
    return centred / np.sqrt(np.mean(centred**2, axis=-1, keepdims=True) + 1e-5) * weight + bias


def network(layers: list[tuple[Any, ...]], x: Any, norm: Callable[..., Any]) -> Any:
    *hidden, last = layers
    for matrix, weight, bias in hidden:
        x = np.tanh(norm(x @ matrix, weight, bias))
    return x @ last[0]


def parameters(rng: Any) -> list[tuple[Any, ...]]:
    widths = [16, *[WIDTH] * LAYERS]
    hidden = [(rng.normal(size=(a, b)) / a**0.5, np.ones(b), np.zeros(b)) for a, b in pairwise(widths)]
    return [*hidden, (rng.normal(size=(WIDTH, 1)) / WIDTH**0.5,)]


if __name__ == "__main__":
    main()
