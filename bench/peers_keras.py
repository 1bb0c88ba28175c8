"""Layers of Keras on its NumPy backend and `predict` of two networks, plain and after `fastnorm.keras.enable()`."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

os.environ["KERAS_BACKEND"] = "numpy"

import keras
import numpy as np

import fastnorm.keras
from with_without import compare, heading

IMAGE, ROWS = (8, 64, 64, 32), (512, 768)


def main() -> None:
    heading("Keras", keras.__version__)
    layers = keras.layers
    for layer, shape, options in (
        (layers.GroupNormalization(8), IMAGE, {}),
        (layers.BatchNormalization(), IMAGE, {}),
        (layers.BatchNormalization(), IMAGE, {"training": True}),
        (layers.LayerNormalization(), ROWS, {}),
        (layers.LayerNormalization(), (1, 768), {}),
        (layers.RMSNormalization(), ROWS, {}),
    ):
        x = np.random.default_rng(0).normal(size=shape).astype("float32")
        name = f"{type(layer).__name__} {'x'.join(map(str, shape))}{', training' if options else ''}"
        both(name, partial(layer, x, **options))
    for norm in (lambda: layers.GroupNormalization(8), layers.BatchNormalization):
        model = network(norm)
        x = np.random.default_rng(0).normal(size=(8, 64, 64, 3)).astype("float32")
        both(f"CNN with {norm().__class__.__name__}", partial(model.predict, x, verbose=0))


def both(name: str, call: Callable[[], Any]) -> None:
    compare(name, call, call, around=fastnorm.keras.enable)


def network(norm: Callable[[], Any]) -> keras.Model:
    y = inputs = keras.Input((64, 64, 3))
    for filters in (16, 32, 64):
        for strides in (1, 2):
            y = keras.layers.Conv2D(filters, 3, strides=strides, padding="same")(y)
            y = keras.layers.ReLU()(norm()(y))
    return keras.Model(inputs, keras.layers.Dense(10)(keras.layers.GlobalAveragePooling2D()(y)))


if __name__ == "__main__":
    main()
