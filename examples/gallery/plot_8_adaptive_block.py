"""
A diffusion model with adaptive layer norm
==========================================

Diffusion transformers tell each block the time step by the scale and the shift of its layer norms, and by a gate on
what the block adds (AdaLN [1]_). Here three such blocks learn to take noise from the handwritten digits, and then make
digits from noise alone: plain NumPy with `fastnorm.nn.AdaLayerNorm`, forward and backward.

.. [1] Peebles, Xie: Scalable diffusion models with transformers, 2022, https://arxiv.org/abs/2212.09748
"""

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from threadpoolctl import threadpool_limits

import fastnorm as fn
from fastnorm import nn

rng = np.random.default_rng(0)
digits = (load_digits().data / 8 - 1).astype(np.float32)  # pixels from -1 to 1
PIXELS, WIDTH, CONDITION, BLOCKS = 64, 160, 64, 3

# %%
# A layer ``y = x W + b`` with its gradient, and a block: ``x + gate * MLP(AdaLN(x))``. Scale, shift and gate are linear
# in the condition; they start at 0, so that every block starts as the identity.


class Linear:
    """A dense layer."""

    def __init__(self, inputs, outputs, spread=1.0):
        self.w = (spread * rng.normal(size=(inputs, outputs)) / np.sqrt(inputs)).astype(np.float32)
        self.b = np.zeros(outputs, np.float32)

    def __call__(self, x):
        self.x = x
        return x @ self.w + self.b

    def backward(self, dy):
        self.dw, self.db = self.x.T @ dy, dy.sum(axis=0)
        return dy @ self.w.T


class Block:
    """A residual block whose norm is adaptive."""

    def __init__(self):
        self.norm = nn.AdaLayerNorm(WIDTH)
        self.modulation = Linear(CONDITION, 3 * WIDTH, spread=0.0)
        self.wide, self.narrow = Linear(WIDTH, 2 * WIDTH), Linear(2 * WIDTH, WIDTH)
        self.layers = [self.modulation, self.wide, self.narrow]

    def __call__(self, x, condition):
        scale, shift, self.gate = np.split(self.modulation(condition), 3, axis=1)
        hidden = self.wide(self.norm(x, scale, shift))  # xhat * (1 + scale) + shift
        self.positive = hidden > 0
        self.added = self.narrow(hidden * self.positive)
        return x + self.gate * self.added

    def backward(self, dy):
        dhidden = self.narrow.backward(dy * self.gate) * self.positive
        dx = dy + self.norm.backward(self.wide.backward(dhidden))
        adaptive = self.norm.gradients()
        modulation = np.concatenate([adaptive["scale"], adaptive["shift"], dy * self.added], axis=1)
        return dx, self.modulation.backward(modulation)


# %%
# The network estimates a clean digit from ``cos(t) digit + sin(t) noise``. The condition is waves of t.


class Denoiser:
    """Blocks between a layer that reads the pixels and one that writes them."""

    def __init__(self):
        self.blocks = [Block() for _ in range(BLOCKS)]
        self.read, self.write = Linear(PIXELS, WIDTH), Linear(WIDTH, PIXELS, spread=0.1)
        self.layers = [self.read, self.write, *(layer for block in self.blocks for layer in block.layers)]
        self.moments = [np.zeros((2, *p.shape), np.float32) for layer in self.layers for p in (layer.w, layer.b)]

    def __call__(self, x, t):
        angles = t[:, None] * np.arange(1, CONDITION // 2 + 1)
        condition = np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)
        x = self.read(x)
        for block in self.blocks:
            x = block(x, condition)
        return self.write(x)

    def step(self, dy, number, rate):
        """Backward, and one step of Adam."""
        dx = self.write.backward(dy)
        for block in reversed(self.blocks):
            dx, _ = block.backward(dx)
        self.read.backward(dx)
        pairs = ((p, g) for layer in self.layers for p, g in ((layer.w, layer.dw), (layer.b, layer.db)))
        for (parameter, gradient), (mean, square) in zip(pairs, self.moments, strict=True):
            mean += 0.1 * (gradient - mean)
            square += 0.01 * (gradient**2 - square)
            unbiased = mean / (1 - 0.9**number), square / (1 - 0.99**number)
            parameter -= rate * unbiased[0] / (np.sqrt(unbiased[1]) + 1e-8)


def noisy(x, t):
    """A digit and noise, and which share of each t says."""
    noise = rng.normal(size=x.shape)
    return (np.cos(t)[:, None] * x + np.sin(t)[:, None] * noise).astype(np.float32)


network, losses, STEPS = Denoiser(), [], 2000
with fn.threads(1), threadpool_limits(1):
    for number in range(1, STEPS + 1):
        clean = digits[rng.integers(0, len(digits), 128)]
        t = rng.uniform(0, np.pi / 2, 128)
        error = network(noisy(clean, t), t) - clean
        losses.append((error**2).mean())
        network.step(2 * error / error.size, number, rate=2e-3 * (1 - number / (STEPS + 1)))
print(f"mean squared error: {np.mean(losses[:20]):.2f} at first, {np.mean(losses[-200:]):.3f} in the end")

# %%
# From noise to digits: at every step the estimates of the clean digit and of the noise are mixed anew, with a little
# less of the noise.

times = np.linspace(np.pi / 2, 0, 41)
x, shown = rng.normal(size=(10, PIXELS)).astype(np.float32), {}
for i, (now, then) in enumerate(pairwise(times)):
    if i % 8 == 0:
        shown[f"{1 - now / times[0]:.0%}"] = x
    clean = np.clip(network(x, np.full(len(x), now)), -1, 1)
    noise = (x - np.cos(now) * clean) / max(np.sin(now), 1e-3)
    x = (np.cos(then) * clean + np.sin(then) * noise).astype(np.float32)
shown["100%"] = x

figure, panels = plt.subplots(len(shown), 10, figsize=(9, 5.6), layout="constrained")
for row, (title, images) in zip(panels, shown.items(), strict=True):
    for panel, image in zip(row, images, strict=True):
        panel.imshow(image.reshape(8, 8), cmap="gray_r", vmin=-1, vmax=1)
        panel.set(xticks=[], yticks=[])
    row[0].set_ylabel(title)
plt.show()

# %%
# The call itself: one pass in the place of a norm and two more, and the same numbers.

x = rng.normal(size=(16, 256, WIDTH)).astype(np.float32)
scale, shift = rng.normal(size=(2, 16, WIDTH)).astype(np.float32)
fused = fn.layer_norm(x, scale[:, None], shift[:, None], offset=1.0)
apart = fn.layer_norm(x) * (1 + scale[:, None]) + shift[:, None]
print(f"largest difference: {np.abs(fused - apart).max():.1e}")
