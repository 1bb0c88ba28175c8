"""Whiten patches of photographs in six ways: covariance before and after, the filters, what becomes of the patches."""

import argparse
import time
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_sample_images
from threadpoolctl import threadpool_limits

import fastnorm as fn

Array = npt.NDArray[Any]
Method = Literal["pca", "zca", "cholesky", "cholesky-prec", "zca-cor", "pca-cor"]

SIDE = 12  # of a patch
PARTS = 8  # of the streamed fit
FEW = 10  # patches that it starts with, far fewer than pixels
SHOWN = 5  # pictures along an edge: 25 filters, 25 patches


class Outcome(NamedTuple):
    """A fit, and what it makes of the patches."""

    title: str
    fit: fn.Whitening
    whitened: Array
    error: float  # of the patches put back together, by the largest deviation from their mean
    seconds: tuple[float, float]  # of fit and transform

    @property
    def covariance(self) -> Array:
        return np.cov(self.whitened.T)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("whiten-images.png"), metavar="FILE.png")
    parser.add_argument("--quick", action="store_true", help="a fifth of the patches")
    options = parser.parse_args()

    x = patches(number=4_000 if options.quick else 20_000)
    with fn.threads(1), threadpool_limits(1):
        outcomes = [solve(x, method, parts=1) for method in get_args(Method)]
        streamed = solve(x, "zca", parts=PARTS)
    print_table(x, [*outcomes, streamed])
    whole = next(outcome.fit for outcome in outcomes if outcome.fit.method == "zca")
    difference = np.abs(streamed.fit.matrix - whole.matrix).max() / np.abs(whole.matrix).max()
    print(f"zca in {PARTS} parts and at once: matrices differ by {difference:.1e} of the largest entry")
    draw(x, outcomes).savefig(options.output)
    print(f"picture: {options.output}")


def patches(number: int) -> Array:
    """Gray patches from random places of both photographs, one a row, levels of 0 to 1."""
    photographs = np.stack(load_sample_images().images).mean(axis=-1) / 255
    windows = np.lib.stride_tricks.sliding_window_view(photographs, (SIDE, SIDE), axis=(1, 2))
    rng = np.random.default_rng(0)
    places = tuple(rng.integers(0, n, number) for n in windows.shape[:3])
    return windows[places].reshape(number, -1)


def solve(x: Array, method: Method, parts: int) -> Outcome:
    """Fit, by parts if there are several, whiten, and go back."""
    times, z = [], np.empty_like(x)
    for _ in range(3):
        start = time.perf_counter()
        fit = fit_by_parts(x, method, parts)
        fitted = time.perf_counter()
        fit.transform(x, out=z)
        times.append((fitted - start, time.perf_counter() - fitted))
    error = np.abs(fit.inverse_transform(z) - x).max() / np.abs(x - fit.mean).max()
    fit_time, transform_time = np.median(times, axis=0)
    title = method if parts == 1 else f"{method}, {parts} parts"
    return Outcome(title, fit, z, float(error), (fit_time, transform_time))


def fit_by_parts(x: Array, method: Method, parts: int) -> fn.Whitening:
    """Fit to samples that come in one after the other, as they would from a file that does not fit into memory."""
    first, *others = np.array_split(x, parts)
    fit = fn.fit_whitening(first[:FEW], method=method).update(first[FEW:])
    for part in others:
        fit.update(part)
    fit.matrix  # noqa: B018 (after an update it is computed when it is first needed)
    return fit


def print_table(x: Array, outcomes: list[Outcome]) -> None:
    spread = np.linalg.eigvalsh(outcomes[0].fit.covariance)
    title = f"{len(x)} patches of {SIDE} x {SIDE}, eigenvalues of the covariance {spread[0]:.1e} to {spread[-1]:.1e}"
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    table.add_column("method")
    for heading in ("max |cov(z) - I|", "reconstruction error", "correlation with x", "fit", "transform"):
        table.add_column(heading, justify="right")
    for outcome in outcomes:
        off = np.abs(outcome.covariance - np.eye(SIDE**2)).max()
        times = (f"{1e3 * seconds:.0f} ms" for seconds in outcome.seconds)
        table.add_row(outcome.title, f"{off:.1e}", f"{outcome.error:.1e}", f"{similarity(x, outcome):.3f}", *times)
    Console(width=110).print(table)
    print("correlation with x: mean correlation of every whitened value with the pixel of the same place; one thread")


def similarity(x: Array, outcome: Outcome) -> float:
    """Mean correlation of whitened feature i with pixel i."""
    z = outcome.whitened
    covariances = ((x - x.mean(axis=0)) * z).mean(axis=0)
    return float((covariances / (x.std(axis=0) * z.std(axis=0))).mean())


# ---- picture ---------------------------------------------------------------------------------------------------------


def draw(x: Array, outcomes: list[Outcome]) -> Figure:
    """A column for the patches themselves and one for each method."""
    figure = Figure(figsize=(21, 10.4), dpi=90, layout="constrained")
    figure.suptitle(f"{len(x)} patches of {SIDE} x {SIDE} pixels, whitened by fastnorm.fit_whitening", fontsize=17)
    axes = figure.subplots(3, 1 + len(outcomes))
    lively = np.flatnonzero(x.std(axis=1) > np.median(x.std(axis=1)))
    chosen = np.random.default_rng(1).choice(lively, SHOWN**2, replace=False)
    rows = np.linspace(0, SIDE**2 - 1, SHOWN**2).round().astype(int)

    covariance = outcomes[0].fit.covariance
    _matrix(axes[0, 0], covariance, np.abs(covariance).max())
    axes[0, 0].set_title("before", fontsize=15)
    _spectra(axes[1, 0], covariance, outcomes)
    _tiles(axes[2, 0], x[chosen] - x.mean(axis=0))
    for column, outcome in zip(axes.T[1:], outcomes, strict=True):
        column[0].set_title(outcome.title, fontsize=15)
        _matrix(column[0], outcome.covariance, 1.0)
        _tiles(column[1], outcome.fit.matrix[rows], power=0.5)  # small values show, too
        _tiles(column[2], outcome.whitened[chosen])
    axes[1, 1].set_title(
        f"filters: {SHOWN**2} of the {SIDE**2} rows of the matrix, from the first to the last", loc="left"
    )
    axes[2, 1].set_title("patches, and what becomes of them", loc="left")
    axes[0, 0].set_ylabel("covariance", fontsize=14)
    axes[2, 0].set_ylabel("patches less their mean", fontsize=14)
    return figure


def _matrix(axes: Any, values: Array, limit: float) -> None:
    """A covariance: red for positive entries, blue for negative ones, white for 0."""
    axes.imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
    axes.set_xlabel(f"red: {limit:.2g}, white: 0")
    axes.set(xticks=[], yticks=[])


def _spectra(axes: Any, covariance: Array, outcomes: list[Outcome]) -> None:
    """Eigenvalues of the covariance before and after."""
    axes.semilogy(np.linalg.eigvalsh(covariance)[::-1], color="black", label="before")
    for outcome in outcomes:
        axes.semilogy(np.linalg.eigvalsh(outcome.covariance)[::-1], color="#c0392b", linewidth=1)
    axes.plot([], [], color="#c0392b", label="after, all six")
    axes.set_title("eigenvalues")
    axes.legend(loc="lower left")
    axes.grid(alpha=0.3)


def _tiles(axes: Any, images: Array, power: float = 1.0) -> None:
    """Pictures in a square: gray is 0, each has its own range."""
    images = np.sign(images) * (np.abs(images) / np.abs(images).max(axis=1, keepdims=True)) ** power
    frame = np.pad(images.reshape(-1, SIDE, SIDE), ((0, 0), (1, 1), (1, 1)), constant_values=np.nan)
    square = frame.reshape(SHOWN, SHOWN, SIDE + 2, SIDE + 2).transpose(0, 2, 1, 3)
    axes.imshow(square.reshape(SHOWN * (SIDE + 2), -1), cmap="gray", vmin=-1, vmax=1, interpolation="nearest")
    axes.set(xticks=[], yticks=[], facecolor="#c9d6e8")
    for side in axes.spines.values():
        side.set_visible(False)


if __name__ == "__main__":
    main()
