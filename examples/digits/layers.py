"""Layers of a network in plain NumPy. They have the interface of fastnorm.nn: call, backward, parameters, gradients.

Images have the order (image, row, column, channel), so that a convolution is one matrix product.
"""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Arrays = dict[str, Array]


class Layer(Protocol):
    """What this network needs of a layer; the layers of fastnorm.nn that normalize data have it, too."""

    def __call__(self, x: Array, /) -> Array: ...
    def backward(self, dy: Array, /) -> Array: ...
    def parameters(self) -> Arrays: ...
    def gradients(self) -> Arrays: ...


class Weight(Protocol):
    """What makes the weights of a layer; fastnorm.nn.WeightNorm and WeightStandardization have it."""

    def __call__(self) -> Array: ...
    def backward(self, dw: Array, /) -> Array: ...
    def parameters(self) -> Arrays: ...
    def gradients(self) -> Arrays: ...


class Plain:
    """Weights that are the parameter itself."""

    def __init__(self, weight: Array) -> None:
        self.weight, self.dweight = weight, np.zeros_like(weight)

    def __call__(self) -> Array:
        return self.weight

    def backward(self, dw: Array) -> Array:
        self.dweight = dw
        return dw

    def parameters(self) -> Arrays:
        return {"weight": self.weight}

    def gradients(self) -> Arrays:
        return {"weight": self.dweight}


class Dense:
    """``y = x W + b``; `reparametrize` takes the first weights to what makes them from then on."""

    def __init__(self, weight: Array, reparametrize: Callable[[Array], Weight] = Plain) -> None:
        self.weight = reparametrize(weight)
        self.bias = np.zeros(weight.shape[1], weight.dtype)
        self.dbias = np.zeros_like(self.bias)

    def __call__(self, x: Array) -> Array:
        self.x, self.w = x, self.weight()
        return np.asarray(x @ self.w + self.bias)

    def backward(self, dy: Array) -> Array:
        self.weight.backward(self.x.T @ dy)
        self.dbias = dy.sum(axis=0)
        return np.asarray(dy @ self.w.T)

    def parameters(self) -> Arrays:
        return {"bias": self.bias, **self.weight.parameters()}

    def gradients(self) -> Arrays:
        return {"bias": self.dbias, **self.weight.gradients()}


class Conv(Dense):
    """3 x 3 convolution with zeros around: the sum of nine dense layers, each on a shifted image."""

    def __init__(self, weight: Array, reparametrize: Callable[[Array], Weight] = Plain, stride: int = 1) -> None:
        super().__init__(weight, reparametrize)
        self.stride = stride

    def __call__(self, x: Array) -> Array:
        images, rows, columns, channels = self.shape = x.shape
        padded = np.zeros((images, rows + 2, columns + 2, channels), x.dtype)
        padded[:, 1:-1, 1:-1] = x
        shifted = np.stack(self._shifted(padded))
        self.x, self.w = shifted.reshape(9, -1, channels), self.weight().reshape(9, channels, -1)
        y = (self.x @ self.w).sum(axis=0) + self.bias
        return np.asarray(y.reshape(*shifted.shape[1:4], -1))

    def backward(self, dy: Array) -> Array:
        images, rows, columns, channels = self.shape
        rows_of_dy = dy.reshape(-1, dy.shape[-1])
        self.weight.backward((self.x.transpose(0, 2, 1) @ rows_of_dy).reshape(9 * channels, -1))
        self.dbias = rows_of_dy.sum(axis=0)
        dpadded = np.zeros((images, rows + 2, columns + 2, channels), dy.dtype)
        for view, w in zip(self._shifted(dpadded), self.w, strict=True):
            view += (rows_of_dy @ w.T).reshape(view.shape)
        return dpadded[:, 1:-1, 1:-1]

    def _shifted(self, padded: Array) -> list[Array]:
        """Nine views: of every `stride`-th pixel the neighbour above on the left, above, and so on."""
        _, rows, columns, _ = self.shape
        return [padded[:, i : i + rows : self.stride, j : j + columns : self.stride] for i, j in np.ndindex(3, 3)]


class Fixed:
    """Base of the layers without parameters."""

    def parameters(self) -> Arrays:
        return {}

    def gradients(self) -> Arrays:
        return {}


class ReLU(Fixed):
    """``max(x, 0)``."""

    def __call__(self, x: Array) -> Array:
        self.positive = x > 0
        return np.asarray(x * self.positive)

    def backward(self, dy: Array) -> Array:
        return np.asarray(dy * self.positive)


class Flatten(Fixed):
    """One row per image."""

    def __call__(self, x: Array) -> Array:
        self.shape = x.shape
        return x.reshape(len(x), -1)

    def backward(self, dy: Array) -> Array:
        return dy.reshape(self.shape)


def softmax_cross_entropy(logits: Array, labels: Array) -> tuple[float, Array]:
    """Mean loss of a batch and its gradient."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    right = np.arange(len(labels)), labels
    dlogits = np.exp(log_probabilities)
    dlogits[right] -= 1
    return -float(log_probabilities[right].mean()), dlogits / len(labels)
