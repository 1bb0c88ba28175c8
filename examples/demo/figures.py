"""The demonstration's picture: what normalization does to photographs and digits, for the eye to check."""

from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from matplotlib.figure import Figure

import fastnorm as fn
from problems import Array

from .inputs import Inputs

_COLOURS = {"R": "#c0392b", "G": "#1e8449", "B": "#2456a4"}
_RANGE = 2.5  # normalized values from minus to plus this are shown from black to white
_DIGITS = 16
_WHITENINGS: Final[dict[str, Literal["zca", "cholesky"]]] = {"ZCA": "zca", "Cholesky": "cholesky"}
_EPS = 1e-5  # some pixels have no ink in any digit


class Panel(NamedTuple):
    """One version of some images, and the values that are shown as black and as white."""

    title: str
    images: Array
    black: float
    white: float


def draw(inputs: Inputs, path: Path) -> None:
    """Draw the picture and write it as PNG."""
    figure: Any = Figure(figsize=(24, 13), dpi=90, layout="constrained")
    figure.suptitle(
        "fastnorm: what normalization does to photographs and digits\n"
        f"normalized values are shown from {-_RANGE} (black) to {_RANGE} (white)",
        fontsize=16,
    )
    figure.get_layout_engine().set(w_pad=0.1)
    photographs, digits = figure.subfigures(2, 1, height_ratios=(8.6, 3.6))
    _draw_photographs(photographs, _photographs(inputs.photographs))
    _draw_digits(digits, _digits(inputs.digits))
    figure.savefig(path, format="png")


# ---- photographs -----------------------------------------------------------------------------------------------------


def _photographs(x: Array) -> list[Panel]:
    """Normalize photographs (2, height, width, 3) without weight and bias."""
    bands = next(n for n in (7, 6, 5, 4, 3, 2, 1) if x.shape[1] % n == 0)
    normalized = {
        "batch norm\nper colour, both photographs": fn.batch_norm_forward(x, axis=-1).y,
        "instance norm\nper photograph and colour": fn.instance_norm(x, axis=-1),
        "layer norm\nper photograph": fn.layer_norm(x, axis=(1, 2, 3)),
        f"group norm over rows\nper photograph and {'half' if bands == 2 else f'band of 1/{bands}'}": fn.group_norm(
            x, bands, axis=1
        ),
        "RMS norm\nper photograph, mean kept": fn.rms_norm(x, axis=(1, 2, 3)),
        "batch whitening, ZCA\ncolours uncorrelated": fn.batch_whitening_forward(x, axis=-1).y,
    }
    panels = [Panel(title, y, -_RANGE, _RANGE) for title, y in normalized.items()]
    return [Panel("original\nlevels of 0 to 255", x, 0, 255), *panels]


def _draw_photographs(area: Any, panels: list[Panel]) -> None:
    """One column a version; below each photograph the histograms of its colours, with mean and deviation."""
    axes = area.subplots(4, len(panels), height_ratios=(2.2, 1.2, 2.2, 1.2))
    for column, panel in zip(axes.T, panels, strict=True):
        column[0].set_title(panel.title, fontsize=13)
        for image, picture, histogram in zip(panel.images, column[::2], column[1::2], strict=True):
            picture.imshow(_shown(image, panel))
            picture.set_axis_off()
            _draw_histogram(histogram, image, panel)


def _draw_histogram(axes: Any, image: Array, panel: Panel) -> None:
    normalized = panel.black < 0
    margin = 0.2 * (panel.white - panel.black) if normalized else 0
    edges = np.linspace(panel.black - margin, panel.white + margin, 65)
    for place, (name, colour), values in zip((0, 0.5, 1), _COLOURS.items(), np.moveaxis(image, -1, 0), strict=True):
        axes.stairs(np.histogram(values, edges)[0], edges, color=colour, linewidth=1.3)
        side = {0: "left", 0.5: "center", 1: "right"}[place]
        text = f"{name} {_statistics(values, 2 if normalized else 0)}"
        axes.text(place, 1.04, text, transform=axes.transAxes, ha=side, va="bottom", color=colour, fontsize=10.5)
    if normalized:
        axes.axvline(0, color="#999999", linewidth=0.8, zorder=0)
    axes.set_xlabel(f"all colours {_statistics(image, 2 if normalized else 0)}", fontsize=10.5)
    axes.set_yticks([])
    axes.set_xlim(edges[0], edges[-1])
    axes.spines[["left", "right", "top"]].set_visible(False)


def _statistics(values: Array, digits: int) -> str:
    """Write mean and standard deviation."""
    return f"{_number(values.mean(dtype=np.float64), digits)} ± {_number(values.std(dtype=np.float64), digits)}"


def _number(value: Any, digits: int = 2) -> str:
    """Write a number with so many digits; a zero has no sign."""
    return f"{round(float(value), digits) + 0.0:.{digits}f}"


# ---- digits ----------------------------------------------------------------------------------------------------------


def _digits(x: Array) -> list[Panel]:
    """Normalize digits (samples, 8, 8): each one, each pixel, all pixels jointly, and as if they were filters."""
    rows = x.reshape(len(x), -1)
    layer, rms, batch = fn.layer_norm(rows), fn.rms_norm(rows), fn.batch_norm_forward(rows).y
    root = np.sqrt((rms.astype(np.float64) ** 2).mean(axis=1))
    normalized = {
        f"layer norm, per digit: {_extent(layer, 1)}": layer,
        f"RMS norm, per digit, mean kept: root mean squares {_number(root.min())} to {_number(root.max())}": rms,
        f"batch norm, per pixel over {len(x)} digits: {_extent(batch, 0)} (0 where no digit has ink)": batch,
    }
    for name, method in _WHITENINGS.items():
        white = fn.whiten(rows, method=method, eps=_EPS)
        text = f"whitening, {name}, of all pixels: correlations up to {_number(_correlation(white))}"
        normalized[f"{text}, before {_number(_correlation(rows))}"] = white
    standardized = fn.weight_standardization(rows)
    normalized[f"weight standardization, a digit as a filter: {_extent(standardized, 1)}"] = standardized
    panels = [Panel(title, y.reshape(x.shape), -_RANGE, _RANGE) for title, y in normalized.items()]
    directions = fn.weight_norm(rows, np.ones((len(rows), 1), np.float32))
    norms = np.sqrt((directions.astype(np.float64) ** 2).sum(axis=1))
    lengths = f"norms {_number(norms.min())} to {_number(norms.max())}"
    title = f"weight norm, a digit as a filter: {lengths} (black 0, white 0.3)"
    original = Panel(f"original digits, levels of 0 to 16, per digit: {_extent(rows, 1)}", x, 0, 16)
    return [original, *panels, Panel(title, directions.reshape(x.shape), 0, 0.3)]


def _correlation(values: Array) -> float:
    """Return the largest correlation of two columns; a column of zeros has none."""
    covariance = np.cov(values.T.astype(np.float64))
    deviation = np.sqrt(np.diag(covariance))
    ink = deviation > 1e-3
    correlations = covariance[np.ix_(ink, ink)] / np.outer(deviation[ink], deviation[ink])
    return float(np.abs(correlations - np.eye(len(correlations))).max())


def _extent(values: Array, axis: int) -> str:
    """Say from where to where the means and the deviations along an axis go."""
    mean, deviation = values.mean(axis=axis, dtype=np.float64), values.std(axis=axis, dtype=np.float64)
    return (
        f"means {_number(mean.min())} to {_number(mean.max())}, "
        f"deviations {_number(deviation.min())} to {_number(deviation.max())}"
    )


def _draw_digits(area: Any, panels: list[Panel]) -> None:
    """One strip of digits a version, in two columns."""
    grid = area.subplots(4, 2)
    for axes, panel in zip(grid.ravel(), panels, strict=True):
        shown = np.pad(_shown(panel.images[:_DIGITS], panel), ((0, 0), (0, 0), (0, 1)), constant_values=1.0)
        axes.imshow(np.concatenate(list(shown), axis=1), cmap="gray", vmin=0, vmax=1)
        axes.set_title(panel.title, fontsize=12, loc="left")
        axes.set_axis_off()


def _shown(image: Array, panel: Panel) -> Array:
    """Map values to brightness from 0 to 1."""
    return np.clip((image - panel.black) / (panel.white - panel.black), 0, 1)
