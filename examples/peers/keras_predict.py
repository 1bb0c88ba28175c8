"""A convolutional network with group norm: `predict` of Keras on its NumPy backend, without fastnorm and with it."""

import argparse
import os
from timeit import repeat

os.environ["KERAS_BACKEND"] = "numpy"  # before the import of Keras

import keras
import numpy as np

import fastnorm.keras


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two small images")
    quick = parser.parse_args().quick
    images, size, rounds = (2, 32, 2) if quick else (8, 64, 7)

    model = network(size)
    x = np.random.default_rng(0).normal(size=(images, size, size, 3)).astype("float32")
    plain = model.predict(x, verbose=0)
    print(f"without       {milliseconds(model, x, rounds):.1f} ms")
    fastnorm.keras.enable()
    print(f"with fastnorm {milliseconds(model, x, rounds):.1f} ms")
    print(f"largest difference {np.abs(model.predict(x, verbose=0) - plain).max():.1e}")


def milliseconds(model: keras.Model, x: np.ndarray, rounds: int) -> float:
    return 1e3 * min(repeat(lambda: model.predict(x, verbose=0), number=1, repeat=rounds))


def network(size: int) -> keras.Model:
    keras.utils.set_random_seed(0)
    layers = keras.layers
    y = inputs = keras.Input((size, size, 3))
    for filters in (16, 32, 64):
        y = layers.Conv2D(filters, 3, padding="same")(y)
        y = layers.ReLU()(layers.GroupNormalization(8)(y))
        y = layers.Conv2D(filters, 3, strides=2, padding="same")(y)
        y = layers.ReLU()(layers.GroupNormalization(8)(y))
    return keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(y)))


if __name__ == "__main__":
    main()
