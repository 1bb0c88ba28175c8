"""The encoder: attention and two dense layers, each added to its input and normalized (post-norm), some times over."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import erf

Array = np.ndarray[Any, np.dtype[Any]]
# add_norm(x, residual, weight, bias, eps, out): the normalized sum. `out` may be the residual; x is no longer needed.
AddNorm = Callable[[Array, Array, Array, Array, float, Array], Array]

HEADS = 12


class Encoder:
    """Sentence embeddings of token ids; the way to add and normalize is the caller's."""

    def __init__(self, parameters: dict[str, Array], eps: float) -> None:
        self.parameters = parameters
        self.eps = eps
        self.layers = len({name.split(".")[2] for name in parameters if name.startswith("encoder.layer.")})

    def __call__(self, ids: Array, mask: Array, add_norm: AddNorm) -> Array:
        """Embed token ids (batch, length), of which those with mask 0 are padding."""
        x = self._embed(ids, add_norm)
        hidden = np.where(mask[:, None, None, :], np.float32(0), np.finfo(np.float32).min)
        for i in range(self.layers):
            name = f"encoder.layer.{i}"
            mixed = self._attention(x, hidden, f"{name}.attention")
            x = self._normalized(mixed, x, f"{name}.attention.output", add_norm)
            wide = gelu(self._dense(x, f"{name}.intermediate.dense"))
            x = self._normalized(self._dense(wide, f"{name}.output.dense"), x, f"{name}.output", add_norm)
        weights = mask.astype(np.float32)[:, None, :]
        return (weights @ x)[:, 0] / weights.sum(axis=-1)

    def _embed(self, ids: Array, add_norm: AddNorm) -> Array:
        tables = (
            self.parameters[f"embeddings.{kind}_embeddings.weight"] for kind in ("word", "position", "token_type")
        )
        words, positions, types = tables
        x = words[ids]
        places = np.broadcast_to(positions[: ids.shape[1]] + types[0], x.shape)
        return add_norm(x, places, *self._norm("embeddings"), self.eps, np.empty_like(x))

    def _attention(self, x: Array, hidden: Array, name: str) -> Array:
        batch, length, width = x.shape
        query, key, value = (
            self._dense(x, f"{name}.self.{part}").reshape(batch, length, HEADS, -1).transpose(0, 2, 1, 3)
            for part in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 1, 3, 2)
        scores /= np.float32(math.sqrt(width // HEADS))
        scores += hidden
        mixed = softmax(scores) @ value
        return self._dense(mixed.transpose(0, 2, 1, 3).reshape(x.shape), f"{name}.output.dense")

    def _dense(self, x: Array, name: str) -> Array:
        y = x @ self.parameters[f"{name}.weight"]
        y += self.parameters[f"{name}.bias"]
        return y

    def _norm(self, name: str) -> tuple[Array, Array]:
        return self.parameters[f"{name}.LayerNorm.weight"], self.parameters[f"{name}.LayerNorm.bias"]

    def _normalized(self, x: Array, residual: Array, name: str, add_norm: AddNorm) -> Array:
        return add_norm(x, residual, *self._norm(name), self.eps, residual)


def softmax(x: Array) -> Array:
    """Softmax over the last axis, in place."""
    x -= x.max(axis=-1, keepdims=True)
    np.exp(x, out=x)
    x /= x.sum(axis=-1, keepdims=True)
    return x


def gelu(x: Array) -> Array:
    """``x * (1 + erf(x / sqrt(2))) / 2``, in place."""
    half = erf(x * np.float32(math.sqrt(0.5)))
    half += 1
    half *= np.float32(0.5)
    x *= half
    return x
