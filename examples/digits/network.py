"""The network, without normalization or with one of eight."""

from collections.abc import Callable
from functools import partial
from math import sqrt
from typing import NamedTuple

import numpy as np

from fastnorm import nn

from .layers import Array, Conv, Dense, Flatten, Layer, Plain, Pool, ReLU, Weight, softmax_cross_entropy


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


# No stage has more channels than the 9 numbers, for the first one, that its outputs are made of: whitening needs it.
STAGES = (Stage(8, 8), Stage(16, 4, stride=2), Stage(16, 4), Stage(32, 4), Stage(32, 4))


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
        self.normalizations: list[Layer] = []
        self.convolutions: list[Conv] = []
        channels = 1
        for stage in STAGES:
            convolution = Conv(_weights(rng, 9 * channels, stage.channels), method.weights, stage.stride)
            normalization = [method.activations(stage)] if method.activations else []
            self.layers += [convolution, *normalization, ReLU()]
            self.convolutions.append(convolution)
            self.normalizations += normalization
            channels = stage.channels
        import os
        self.layers += [Pool(), Dense(_weights(rng, channels, 10))] if os.environ.get('POOL') else [Flatten(), Dense(_weights(rng, channels * stage.side**2, 10))]

    def __call__(self, x: Array, until: int | None = None) -> Array:
        """Logits, or what the first `until` layers make of the images."""
        for layer in self.layers[:until]:
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


def _weights(rng: np.random.Generator, inputs: int, outputs: int) -> Array:
    """He's initialization."""
    return rng.normal(0, sqrt(2 / inputs), (inputs, outputs)).astype(np.float32)
