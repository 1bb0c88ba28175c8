"""
Style transfer with instance norm (AdaIN)
=========================================

The mean and the deviation of a feature map say much of an image's style, and little of its content. Adaptive instance
normalization [1]_ gives one image's features the statistics of another's. A trained encoder does that with features of
a deep network; here the features are colours, and details at several scales, which need no training.

.. [1] Huang, Belongie: Arbitrary style transfer in real-time with adaptive instance normalization, 2017,
   https://arxiv.org/abs/1703.06868
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy import ndimage
from sklearn.datasets import load_sample_images

import fastnorm as fn

china, flower = (image[:400:2, :600:2].astype(np.float32) / 255 for image in load_sample_images().images)

# %%
# The statistics of the style are weight and bias of the norm. They have as many dimensions as the data, one value for
# every sample and channel; nothing is repeated in memory.


def adain(content, style, axis=-1):
    """Features of `content` with the statistics of those of `style`: arrays (1, height, width, channels)."""
    mean, std = style.mean(axis=(1, 2), keepdims=True), style.std(axis=(1, 2), keepdims=True)
    return fn.instance_norm(content, std, mean, axis=axis, eps=0.0)


def restyled(content, style):
    """The same of a Laplacian pyramid: every scale of detail gets the statistics of the style's."""
    return sum(adain(a[None], b[None])[0] for a, b in zip(pyramid(content), pyramid(style), strict=True))


def pyramid(image, levels=5):
    """Details at `levels` scales, and what is left: their sum is the image."""
    parts, rest = [], image
    for k in range(levels):
        smooth = ndimage.gaussian_filter(image, (2.0**k, 2.0**k, 0))
        parts.append(rest - smooth)
        rest = smooth
    return [*parts, rest]


pairs = {"content": (china, flower), "style": (flower, china)}
colours = [adain(a[None], b[None])[0] for a, b in pairs.values()]
details = [restyled(a, b) for a, b in pairs.values()]

figure, panels = plt.subplots(2, 3, figsize=(10, 4.8), layout="constrained")
for row, (content, _), colour, detail in zip(panels, pairs.values(), colours, details, strict=True):
    for panel, image in zip(row, (content, colour, detail), strict=True):
        panel.imshow(np.clip(image, 0, 1))
        panel.set_axis_off()
for panel, title in zip(
    panels[0], ("as it is", "colours of the other", "colours and contrast at every scale"), strict=True
):
    panel.set_title(title)
plt.show()

# %%
# The statistics are those of the style, to rounding:

for name, (_, style), colour in zip(("china", "flower"), pairs.values(), colours, strict=True):
    off = max(
        np.abs(colour.mean((0, 1)) - style.mean((0, 1))).max(),
        np.abs(colour.std((0, 1)) - style.std((0, 1))).max(),
    )
    print(f"{name}: mean and deviation of three colours off by at most {off:.1e}")

# %%
# With whitening in the place of instance norm the colours also get the other's correlations: the map of one image is
# undone by that of the other. A blue sky and a red roof become shades of one flower.

figure, panels = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
for panel, (content, style) in zip(panels, pairs.values(), strict=True):
    white = fn.whiten(content.reshape(-1, 3), method="zca")
    coloured = fn.fit_whitening(style.reshape(-1, 3), method="zca").inverse_transform(white)
    panel.imshow(np.clip(coloured.reshape(content.shape), 0, 1))
    panel.set_axis_off()
    panel.set_title("whitened, and coloured by the other's covariance")
plt.show()
