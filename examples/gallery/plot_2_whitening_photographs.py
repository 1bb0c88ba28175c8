"""
Whitening patches of photographs
================================

Neighbouring pixels are nearly the same. Whitening finds the linear map after which they are uncorrelated; of the many
maps that do, ZCA stays closest to the patches and principal components sort by variance.

The program is `examples/whiten_images.py`, with a table of six methods that :doc:`/examples` discusses. Here are its
parts, one after the other.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_images

import fastnorm as fn
from whiten_images import SIDE, patches

# %%
# Gray patches from random places of two photographs, one a row:

x = patches(number=8000)
values = np.linalg.eigvalsh(np.cov(x.T))
print(x.shape, f"eigenvalues of the covariance: {values[0]:.1e} to {values[-1]:.1e}")

# %%
# A fit for each of three methods, from parts that come one after the other, as from a file that is too large for the
# memory:

fits = {}
for method in ("pca", "zca", "cholesky"):
    fit = fn.fit_whitening(x[:10], method=method)
    for part in np.array_split(x[10:], 7):
        fit.update(part)
    fits[method] = fit
    z = fit.transform(x)
    print(f"{method:10} off the identity: {np.abs(np.cov(z.T) - np.eye(SIDE**2)).max():.1e}")

# %%
# The rows of the matrices are filters. Those of ZCA are all the same, a pixel less its surroundings; those of the
# principal components go from the mean gray to checkerboards.

figure, panels = plt.subplots(3, 8, figsize=(9, 3.8), layout="constrained")
for row, (method, fit) in zip(panels, fits.items(), strict=True):
    first = (0, 1, 2, 3, 5, 8, 14, SIDE**2 - 1) if method == "pca" else np.linspace(0, SIDE**2 - 1, 8).astype(int)
    for panel, i in zip(row, first, strict=True):
        kernel = fit.matrix[i].reshape(SIDE, SIDE)
        kernel = np.sign(kernel) * np.abs(kernel / np.abs(kernel).max()) ** 0.5  # small values show, too
        panel.imshow(kernel, cmap="RdBu_r", vmin=-1, vmax=1)
        panel.set(xticks=[], yticks=[])
    row[0].set_ylabel(method)
plt.show()

# %%
# A whole photograph, whitened as one goes along with the filter of a patch's middle. `relative_eps` keeps the finest
# frequencies, which are noise, from being blown up.

photograph = load_sample_images().images[0].mean(axis=-1)[::2, ::2] / 255
windows = np.lib.stride_tricks.sliding_window_view(photograph, (SIDE, SIDE))
middle = SIDE * SIDE // 2 + SIDE // 2
figure, panels = plt.subplots(1, 3, figsize=(10, 2.9), layout="constrained")
panels[0].imshow(photograph, cmap="gray")
panels[0].set_title("photograph")
for panel, eps in zip(panels[1:], (0.0, 0.1), strict=True):
    kernel = fn.fit_whitening(x, method="zca", relative_eps=eps).matrix[middle].reshape(SIDE, SIDE)
    whitened = np.einsum("ijkl,kl->ij", windows, kernel)
    limit = np.quantile(np.abs(whitened - whitened.mean()), 0.99)
    panel.imshow(whitened - whitened.mean(), cmap="gray", vmin=-limit, vmax=limit)
    panel.set_title(f"whitened, relative_eps={eps:g}")
for panel in panels:
    panel.set_axis_off()
plt.show()
