"""
Digits trained with nine normalizations
=======================================

A small convolutional network in plain NumPy, without normalization and with each of eight: the same first weights, the
same batches, a moderate and a high learning rate. This is one initialization of `examples/train_digits.py`;
:doc:`/examples` has the table of three, and what can be learnt from it.
"""

import matplotlib.pyplot as plt
import numpy as np
from threadpoolctl import threadpool_limits

import fastnorm as fn
from digits.figure import correlations, off_diagonal
from digits.network import METHODS
from digits.training import load, train

RATES = {0.05: "C0", 0.7: "C1"}
data = load()
with fn.threads(1), threadpool_limits(1):  # matrices this small are no work for two
    runs = train(data, list(RATES), [0], epochs=4, progress=lambda done: None)

# %%
# Accuracy on 450 digits that were not trained on, after every epoch. Dashed: the network without normalization.

figure, panels = plt.subplots(2, 4, figsize=(11, 5), sharex=True, sharey=True, layout="constrained")
titles = [method.title for method in METHODS if method.title != "none"]
for panel, title in zip(panels.flat, titles, strict=True):
    for rate, colour in RATES.items():
        epochs = 1 + np.arange(len(runs[title, rate][0].accuracies))
        panel.plot(epochs, runs["none", rate][0].accuracies, "--", color=colour, alpha=0.6)
        panel.plot(epochs, runs[title, rate][0].accuracies, "o-", color=colour, markersize=4, label=f"rate {rate}")
    panel.set(title=title, ylim=(0, 1.02), xticks=epochs)
    panel.grid(alpha=0.3)
panels[0, 0].legend(loc="lower right")
for panel in panels[:, 0]:
    panel.set_ylabel("accuracy")
for panel in panels[1]:
    panel.set_xlabel("epoch")
plt.show()

# %%
# Batch whitening also decorrelates. Correlations of the channels of the third convolution, on the test images:

chosen = ("none", "batch norm", "batch whitening")
figure, panels = plt.subplots(1, 3, figsize=(10, 3.4), layout="constrained")
for panel, title in zip(panels, chosen, strict=True):
    matrix = correlations(runs[title, 0.05][0], data)
    image = panel.imshow(matrix, cmap="RdBu_r", vmin=-1, vmax=1)
    panel.set(title=f"{title}: {off_diagonal(matrix):.2f} on average", xticks=[], yticks=[])
figure.colorbar(image, ax=panels, ticks=(-1, 0, 1), shrink=0.9)
plt.show()
