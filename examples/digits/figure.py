"""The picture: loss and accuracy of every method beside the network without normalization, and two looks inside."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from .layers import Array, ReLU
from .network import METHODS
from .training import Data, Run

Runs = dict[tuple[str, float], list[Run]]

COLOURS = ("#2456a4", "#d35400")  # the moderate and the high learning rate
SHARES = 3  # points of a loss curve per epoch
STAGE = 2  # whose activations the correlations are of, from 0


def draw(runs: Runs, rates: Sequence[float], data: Data) -> Figure:
    figure = Figure(figsize=(16, 17), dpi=90, layout="constrained")
    seeds = len(runs["none", rates[0]])
    spread = (
        f"lines: median of {seeds} initializations, bands: smallest to largest" if seeds > 1 else "one initialization"
    )
    figure.suptitle(
        "A small network on handwritten digits, the same with each normalization\n"
        f"blue: learning rate {rates[0]:g}, orange: {rates[1]:g}; dashed: without normalization\n{spread}",
        fontsize=15,
    )
    parts: Any = figure.subfigures(2, 1, height_ratios=(4, 1.15))
    upper, lower = parts
    axes = upper.subplots(4, 4, sharex=True)
    titles = [method.title for method in METHODS if method.title != "none"]
    for i, title in enumerate(titles):
        row, column = 2 * (i // 4), i % 4
        loss, accuracy = axes[row : row + 2, column]
        loss.set_title(title, fontsize=14)
        for rate, colour in zip(rates, COLOURS, strict=True):
            _curves(loss, accuracy, runs["none", rate], colour, dashed=True)
            _curves(loss, accuracy, runs[title, rate], colour, dashed=False)
        _scales(loss, accuracy, labels=column == 0)
    inside = lower.subplots(1, 4)
    _growth(inside[0], runs, rates)
    for place, title in zip(inside[1:], ("none", "batch norm", "batch whitening"), strict=True):
        _correlations(place, runs[title, rates[0]][0], data)
    return figure


def _curves(loss: Any, accuracy: Any, runs: list[Run], colour: str, dashed: bool) -> None:
    """Median and range over the runs."""
    epochs = len(runs[0].accuracies)
    losses = np.array([run.losses for run in runs]).reshape(len(runs), SHARES * epochs, -1).mean(axis=-1)
    times = (np.arange(SHARES * epochs) + 0.5) / SHARES
    accuracies = np.array([run.accuracies for run in runs])
    for axes, x, values in ((loss, times, losses), (accuracy, 1.0 + np.arange(epochs), 100 * accuracies)):
        style = {"linestyle": "--", "linewidth": 1.1, "alpha": 0.75} if dashed else {"linewidth": 2}
        axes.plot(x, np.median(values, axis=0), color=colour, marker="" if dashed or axes is loss else ".", **style)
        if not dashed:
            axes.fill_between(x, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.18, linewidth=0)


def _scales(loss: Any, accuracy: Any, labels: bool) -> None:
    loss.set(yscale="log", ylim=(2e-3, 8))
    accuracy.set(ylim=(0, 102), xlabel="epoch")
    accuracy.tick_params(labelbottom=True)
    accuracy.xaxis.get_major_locator().set_params(integer=True)
    if labels:
        loss.set_ylabel("training loss")
        accuracy.set_ylabel("test accuracy, %")
    for axes in (loss, accuracy):
        axes.grid(alpha=0.3)


def _growth(axes: Any, runs: Runs, rates: Sequence[float]) -> None:
    """How the directions of weight norm grow: their gradients are orthogonal to them."""
    for rate, colour in zip(rates, COLOURS, strict=True):
        for run in runs["weight norm", rate]:
            axes.plot(np.arange(len(run.growth) + 1), [1.0, *run.growth], color=colour, marker=".")
    axes.set(title="weight norm: ‖v‖ by its first value,\nmean of all filters", xlabel="epoch")
    axes.grid(alpha=0.3)


def _correlations(axes: Any, run: Run, data: Data) -> None:
    """Correlations of the channels that a ReLU gets of the test images."""
    matrix = correlations(run, data)
    image = axes.imshow(matrix, cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
    axes.figure.colorbar(image, ax=axes, ticks=(-1, 0, 1), shrink=0.8)
    name = "no normalization" if run.method.title == "none" else run.method.title
    axes.set_title(f"{name}: correlations of channels\nmean size off the diagonal: {off_diagonal(matrix):.2f}")
    axes.set(xticks=[], yticks=[])


def correlations(run: Run, data: Data) -> Array:
    """Correlations of the channels of one stage before its ReLU: test images, after training."""
    number = [i for i, layer in enumerate(run.network.layers) if isinstance(layer, ReLU)][STAGE]
    channels = run.network.before(number, data.test_images)
    return np.corrcoef(channels.reshape(-1, channels.shape[-1]).T)


def off_diagonal(matrix: Array) -> float:
    """Mean size of the entries that are not on the diagonal."""
    return float(np.abs(matrix[~np.eye(len(matrix), dtype=bool)]).mean())
