"""
Float32 norms on hard rows
==========================

A row whose mean is large against its spread is where float32 normalization goes wrong: the digits that are left of the
differences have already been lost when the mean was rounded. This is layer norm of such rows, by libraries as they are
installed, against float64.
"""

import importlib.util

import matplotlib.pyplot as plt
import numpy as np

import fastnorm as fn

# %%
# Rows of 1024 standard normal numbers, moved by a mean of 1 to 1e6. What is in the float32 row is taken for exact, so
# that the error is the norm's alone.

rng = np.random.default_rng(0)
normal = rng.standard_normal((64, 1024))
means = 10.0 ** np.arange(0, 6.5, 0.5)
rows = {mean: (normal + mean).astype(np.float32) for mean in means}
EPS = np.float32(1e-5)


def textbook(x):
    """Two passes, as one writes it in NumPy."""
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + EPS)


def one_pass(x):
    """The variance as the mean of the squares less the square of the mean, as some fast kernels do."""
    mean = x.mean(axis=-1, keepdims=True)
    variance = np.maximum((x**2).mean(axis=-1, keepdims=True) - mean**2, 0)
    return (x - mean) / np.sqrt(variance + EPS)


libraries = {"NumPy, one pass": one_pass, "NumPy, two passes": textbook}
if importlib.util.find_spec("torch"):
    import torch

    libraries["PyTorch"] = lambda x: torch.nn.functional.layer_norm(torch.from_numpy(x), x.shape[-1:]).numpy()
libraries["fastnorm"] = fn.layer_norm

# %%
# The error in units of what rounding to float32 makes unavoidable:

UNIT = 2.0**-24
errors = {name: [] for name in libraries}
for x in rows.values():
    exact = fn.reference.layer_norm(x)
    for name, norm in libraries.items():
        errors[name].append((np.abs(norm(x) - exact) / (1 + np.abs(exact))).max() / UNIT)

figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
for (name, values), style in zip(errors.items(), ("C3:", "C1-.", "C4--", "C0-")[-len(errors) :], strict=True):
    axes.loglog(means, values, style, label=name, linewidth=2, marker="o", markersize=4)
axes.axhline(8, color="gray", linewidth=1, label="fastnorm's limit")
axes.set(xlabel="mean of a row with deviation 1", ylabel="largest error, in roundings of float32")
axes.grid(alpha=0.3)
axes.legend()
plt.show()

# %%
# A thousand roundings are three digits of the seven that float32 has. On a row that is exactly constant every library
# should give zeros, and on rows of a huge scale finite numbers:

for title, x in {
    "constant 1234": np.full((1, 256), 1234, np.float32),
    "scale 1e25": rows[1.0] * np.float32(1e25),
}.items():
    exact = fn.reference.layer_norm(x)
    with np.errstate(all="ignore"):
        found = {name: np.abs(norm(x) - exact).max() for name, norm in libraries.items()}
    print(f"{title:14}", ", ".join(f"{name}: {error:.1e}" for name, error in found.items()))
