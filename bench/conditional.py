"""Parameters per sample or head and rows in bytes: ``python bench/conditional.py [--threads N] [--rounds N]``.

AdaLN, AdaIN, SPADE, heads of attention and rows quantized with scales of their own, each against the plain norm of the
same data, against NumPy's passes around that norm, and, if PyTorch is installed, against its eager composition.
Everything takes turns; figures are medians of ratios: how many times as long the others take, and what the plain norm
takes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import fastnorm as fn
import places
from places import Call, Place, functional, torch


def _numbers(*shape: int) -> Any:
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def _eager(compose: Callable[..., Any], *arrays: Any) -> Call | None:
    if torch is None:
        return None
    tensors = [torch.from_numpy(a) for a in arrays]
    return lambda: compose(*tensors)


def adaptive_layer_norm(samples: int, tokens: int, features: int) -> Place:
    """Return layer norm with scale and shift per sample, as in diffusion transformers."""
    x, y = _numbers(samples, tokens, features), np.empty((samples, tokens, features), np.float32)
    scale, shift = _numbers(samples, 1, features), _numbers(samples, 1, features) + 1
    weight, bias = scale[0, 0], shift[0, 0]
    return Place(
        1.15,
        lambda: fn.layer_norm(x, weight, bias, out=y),
        lambda: fn.layer_norm(x, scale, shift, offset=1.0, out=y),
        lambda: fn.layer_norm(x, out=y) * (1 + scale) + shift,
        _eager(lambda x, scale, shift: functional.layer_norm(x, x.shape[-1:]) * (1 + scale) + shift, x, scale, shift),
    )


def adaptive_instance_norm(samples: int, channels: int, side: int, *, everywhere: bool = False) -> Place:
    """Return instance norm with scale and shift per sample and channel, or at every position (SPADE)."""
    x = _numbers(samples, channels, side, side)
    y = np.empty_like(x)
    shape = x.shape if everywhere else (samples, channels, 1, 1)
    scale, shift = _numbers(*shape), _numbers(*shape) + 1
    weight, bias = scale[0, :, 0, 0].copy(), shift[0, :, 0, 0].copy()
    return Place(
        1.5 if everywhere else 1.15,
        lambda: fn.instance_norm(x, weight, bias, out=y),
        lambda: fn.instance_norm(x, scale, shift, out=y),
        lambda: fn.instance_norm(x, out=y) * scale + shift,
        _eager(lambda x, scale, shift: functional.instance_norm(x) * scale + shift, x, scale, shift),
    )


def quantized_rows(rows: int, features: int) -> Place:
    """Return RMS norm whose rows become bytes with scales of their own."""
    x, weight = _numbers(rows, features), _numbers(features)
    y, how = np.empty_like(x), fn.QuantizeRows()
    out = np.empty(x.shape, np.int8), np.empty((rows, 1), np.float32), np.empty((rows, 1), np.int32)

    def by_numpy() -> Any:
        fn.rms_norm(x, weight, out=y)
        scale = np.abs(y).max(axis=1, keepdims=True) / np.float32(127)
        return np.rint(y / scale).astype(np.int8), scale

    def eager(x: Any, weight: Any) -> Any:
        y = functional.rms_norm(x, x.shape[-1:], weight, 1e-6)
        scale = y.abs().amax(dim=1, keepdim=True) / 127
        return torch.round(y / scale).to(torch.int8), scale

    return Place(
        1.3 if x.nbytes > 8 << 20 else 1.6,
        lambda: fn.rms_norm(x, weight, out=y),
        lambda: fn.rms_norm(x, weight, quantize=how, out=out),
        by_numpy,
        _eager(eager, x, weight),
    )


def heads(tokens: int, heads: int, size: int) -> Place:
    """Return RMS norm of queries where they lie beside keys and values, in place, against one array of queries."""
    qkv, weight = _numbers(1, tokens, 3, heads, size), np.ones((1, 1, heads, size), np.float32)
    q = qkv[:, :, 0]
    alone, result = q.copy(), np.empty_like(q)
    return Place(
        1.25,
        lambda: fn.rms_norm(alone, weight, out=alone),
        lambda: fn.rms_norm(q, weight, out=q),
        lambda: np.multiply(q / np.sqrt((q * q).mean(-1, keepdims=True) + 1e-6), weight, out=result),
        _eager(lambda q, weight: functional.rms_norm(q, q.shape[-1:]) * weight, q, weight),
    )


PLACES: dict[str, Callable[[], Place]] = {
    "AdaLN 2x256x1152": lambda: adaptive_layer_norm(2, 256, 1152),
    "AdaLN 8x1024x768": lambda: adaptive_layer_norm(8, 1024, 768),
    "AdaIN 1x512x64x64": lambda: adaptive_instance_norm(1, 512, 64),
    "AdaIN 4x256x64x64": lambda: adaptive_instance_norm(4, 256, 64),
    "SPADE 1x128x128x128": lambda: adaptive_instance_norm(1, 128, 128, everywhere=True),
    **{f"QK-norm {t}x{h}x{d}": lambda t=t, h=h, d=d: heads(t, h, d) for t, h, d in ((512, 12, 64), (256, 16, 256))},  # type: ignore[misc]
    "RMS int8 rows 256x768": lambda: quantized_rows(256, 768),
    "RMS int8 rows 512x4096": lambda: quantized_rows(512, 4096),
    "RMS int8 rows 4096x4096": lambda: quantized_rows(4096, 4096),
}


if __name__ == "__main__":
    places.main(PLACES, __doc__)
