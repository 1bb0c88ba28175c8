"""The network, without normalization or with one of eight."""

from collections.abc import Callable
from functools import partial
from math import sqrt
from typing import Any, NamedTuple

import numpy as np

from fastnorm import nn

from .layers import Array, Conv, Dense, Flatten, Layer, Plain, ReLU, Weight, softmax_cross_entropy


class Stage(NamedTuple):
    """Channels and side of the images that a convolution makes."""

    channels: int
    side: int
    stride: int = 1


class Method(NamedTuple):
    """A normalization: of a stage's activations, or of the weights that make them."""

    title: str
    activations: Callable[[Stage], Layer] | None = None
    weights: Callable[[Array], Weight] = Plain


# The first stage makes its channels of 9 pixels: more than 9 would have no covariance of full rank, for whitening.
STAGES = (Stage(8, 8), Stage(16, 4, stride=2), Stage(16, 4), Stage(24, 4), Stage(24, 4))


def _image(stage: Stage) -> tuple[int, int, int]:
    return stage.side, stage.side, stage.channels


METHODS = (
    Method("none"),
    Method("batch norm", lambda stage: nn.BatchNorm(stage.channels, axis=-1)),
    Method("layer norm", lambda stage: nn.LayerNorm(_image(stage))),
    Method("RMS norm", lambda stage: nn.RMSNorm(_image(stage), eps=1e-5)),
    Method("group norm", lambda stage: nn.GroupNorm(stage.channels // 4, stage.channels, axis=-1)),
    Method("instance norm", lambda stage: nn.InstanceNorm(stage.channels, affine=True, axis=-1)),
    Method("weight norm", weights=partial(nn.WeightNorm, axis=-1)),
    Method(
        "weight standardization",
        weights=partial(nn.WeightStandardization, gain=True, axis=-1, mode="max", scale=sqrt(2)),
    ),
    Method("batch whitening", lambda stage: nn.BatchWhitening(stage.channels, axis=-1)),
)


class Network:
    """Convolutions, each with its normalization and ReLU, and a dense layer on top, which is never normalized.

    The first weights depend on the seed alone, so all methods begin with the same.
    """

    def __init__(self, method: Method, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.layers: list[Layer] = []
        self.normalizations: list[Any] = []  # layers of fastnorm.nn that normalize activations
        channels = 1
        for stage in STAGES:
            self.layers.append(Conv(_weights(rng, 9 * channels, stage.channels), method.weights, stage.stride))
            if method.activations:
                self.normalizations.append(method.activations(stage))
                self.layers.append(self.normalizations[-1])
            self.layers.append(ReLU())
            channels = stage.channels
        self.layers += [Flatten(), Dense(_weights(rng, channels * STAGES[-1].side ** 2, 10))]

    def __call__(self, x: Array) -> Array:
        """Logits of images (n, 8, 8, 1)."""
        return self.before(len(self.layers), x)

    def before(self, number: int, x: Array) -> Array:
        """What the layer of this number gets."""
        for layer in self.layers[:number]:
            x = layer(x)
        return x

    def step(self, x: Array, labels: Array, learning_rate: float) -> float:
        """One step of gradient descent; the loss before it."""
        loss, gradient = softmax_cross_entropy(self(x), labels)
        for layer in reversed(self.layers):
            gradient = layer.backward(gradient)
        for layer in self.layers:
            gradients = layer.gradients()
            for name, parameter in layer.parameters().items():
                parameter -= np.asarray(learning_rate * gradients[name], parameter.dtype)
        return loss

    def train(self, mode: bool = True) -> None:
        """Go to training or to evaluation: batch norm and batch whitening have running statistics for that."""
        for layer in self.normalizations:
            layer.train(mode)

    def directions(self) -> list[Array]:
        """The directions v of weight norm, a column for every filter."""
        weights = [layer.weight for layer in self.layers if isinstance(layer, Conv)]
        return [weight.original1 for weight in weights if isinstance(weight, nn.WeightNorm)]


def _weights(rng: np.random.Generator, inputs: int, outputs: int) -> Array:
    """He's initialization."""
    return rng.normal(0, sqrt(2 / inputs), (inputs, outputs)).astype(np.float32)
