"""Pictures of what is averaged over what: an array as a block of cells, and the same cells as they lie in memory."""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle

Cell = tuple[int, int, int]
Group = Callable[[Cell, tuple[int, int, int]], bool]

INK = {"light": "#222832", "dark": "#ced6dd"}
REST = {"light": "#e4e8ee", "dark": "#39424e"}
ONE = {"light": "#2a7de1", "dark": "#4c9af0"}  # the group that is shown
SLANT = np.array([0.42, 0.36])  # how far one cell of the third axis goes right and up


class Block(NamedTuple):
    """An array of three axes (two axes of images are drawn as one), and one group in it.

    Axes are drawn to the right, away from the reader and upwards; the group must touch the faces that are seen.
    """

    title: str
    names: tuple[str, str, str]
    group: Group


class Strip(NamedTuple):
    """Cells in the order of memory: which of the block's axes is outermost, which next, which innermost."""

    title: str
    order: tuple[int, int, int]
    block: int = 0


def last(cell: Cell, size: tuple[int, int, int]) -> bool:
    """The last index to the right: one sample, or one filter."""
    return cell[0] == size[0] - 1


def half(cell: Cell, size: tuple[int, int, int]) -> bool:
    """The nearer half: a group of channels."""
    return cell[1] < size[1] // 2


def top(cell: Cell, size: tuple[int, int, int]) -> bool:
    """The highest: one position."""
    return cell[2] == size[2] - 1


def nearest(cell: Cell, size: tuple[int, int, int]) -> bool:
    """One channel."""
    return cell[1] == 0


def both(*conditions: Group) -> Group:
    return lambda cell, size: all(condition(cell, size) for condition in conditions)


IMAGES, TOKENS, FILTERS = ("N", "C", "H, W"), ("N", "D", "L"), ("O", "I", "H, W")
NCHW, NHWC = Strip("NCHW", (0, 1, 2)), Strip("NHWC", (0, 2, 1))
NLD = Strip("NLD", (0, 2, 1), block=1)
OIHW, HWIO = Strip("OIHW", (0, 1, 2)), Strip("HWIO", (2, 1, 0))


def _data(images: Group, tokens: Group, what: tuple[str, str]) -> tuple[list[Block], list[Strip]]:
    blocks = [Block(f"images: {what[0]}", IMAGES, images), Block(f"sequences: {what[1]}", TOKENS, tokens)]
    return blocks, [NCHW, NHWC, NLD]


def _filters(what: str) -> tuple[list[Block], list[Strip]]:
    return [Block(f"weights: {what}", FILTERS, last)], [OIHW, HWIO]


METHODS: dict[str, tuple[list[Block], list[Strip]]] = {
    "batch-norm": _data(nearest, nearest, ("a channel of all images", "a feature of all tokens")),
    "layer-norm": _data(last, both(last, top), ("all of one image", "all features of one token")),
    "rms-norm": _data(last, both(last, top), ("all of one image", "all features of one token")),
    "group-norm": _data(both(last, half), both(last, half), ("channels of one image", "features of one sequence")),
    "instance-norm": _data(
        both(last, nearest), both(last, nearest), ("a channel of one image", "a feature of one sequence")
    ),
    "batch-whitening": _data(half, half, ("channels of all images, jointly", "features of all tokens, jointly")),
    "weight-norm": _filters("one filter"),
    "weight-standardization": _filters("one filter"),
}


def draw(method: str, theme: str) -> Figure:
    """The picture of one method in one theme."""
    blocks, strips = METHODS[method]
    figure: Any = Figure(figsize=(4.3 * len(blocks), 2.9 + 0.42 * len(strips)), dpi=100)
    heights = [1, 0.15 * len(strips)]
    grid = figure.add_gridspec(2, len(blocks), height_ratios=heights, left=0, right=1, bottom=0.01, top=0.95)
    for i, block in enumerate(blocks):
        _block(figure.add_subplot(grid[0, i]), block, theme)
    _strips(figure.add_subplot(grid[1, :]), strips, blocks, theme)
    return figure


def _block(axes: Any, block: Block, theme: str) -> None:
    size = (4, 6, 4)
    for cell, corners, shade in _faces(size):
        colour = (ONE if block.group(cell, size) else REST)[theme]
        axes.add_patch(Polygon(corners, facecolor=_shaded(colour, shade), edgecolor=_edge(theme), linewidth=0.8))
    ink, back = INK[theme], size[1] * SLANT
    axes.text(size[0] / 2, -0.25, block.names[0], ha="center", va="top", color=ink, fontsize=13)
    axes.text(-0.25, size[2] / 2, block.names[2], ha="right", va="center", color=ink, fontsize=13)
    place = np.array([size[0], 0]) + back / 2 + [0.25, -0.15]
    axes.text(*place, block.names[1], ha="left", va="top", color=ink, fontsize=13)
    axes.set_title(block.title, color=ink, fontsize=13)
    axes.set(xlim=(-1.3, size[0] + back[0] + 0.6), ylim=(-0.9, size[2] + back[1] + 0.1), aspect="equal")
    axes.set_axis_off()


def _faces(size: tuple[int, int, int]) -> Iterator[tuple[Cell, list[Any], float]]:
    """The cells that are seen, face by face: in front, above, on the right."""
    right, depth, up = size
    x, y, z = np.array([1.0, 0]), SLANT, np.array([0, 1.0])
    for i, k in product(range(right), range(up)):
        corner = i * x + k * z
        yield (i, 0, k), [corner, corner + x, corner + x + z, corner + z], 1.0
    for i, j in product(range(right), range(depth)):
        corner = i * x + j * y + up * z
        yield (i, j, up - 1), [corner, corner + x, corner + x + y, corner + y], 1.12
    for j, k in product(range(depth), range(up)):
        corner = right * x + j * y + k * z
        yield (right - 1, j, k), [corner, corner + y, corner + y + z, corner + z], 0.84


def _strips(axes: Any, strips: list[Strip], blocks: list[Block], theme: str) -> None:
    """A smaller array of 2 x 4 x 3, or of filters 3 x 4 x 2, cell by cell as memory has it."""
    sizes = (2, 4, 3)
    for row, strip in enumerate(strips):
        block = blocks[strip.block]
        cells = sorted(np.ndindex(*sizes), key=lambda cell, order=strip.order: [cell[a] for a in order])
        for place, cell in enumerate(cells):
            colour = (ONE if block.group(cell, sizes) else REST)[theme]
            box = Rectangle((place, -row), 1, 0.62, facecolor=colour, edgecolor=_edge(theme), linewidth=0.8)
            axes.add_patch(box)
        axes.text(-0.4, 0.31 - row, strip.title, ha="right", va="center", color=INK[theme], fontsize=11)
    axes.text(0, 0.95, "in memory", color=INK[theme], fontsize=11)
    axes.set(xlim=(-3.2, 24.6), ylim=(0.9 - len(strips), 1.7))
    axes.set_axis_off()


def whitening(theme: str) -> Figure:
    """What whitening of data does to a covariance."""
    rng, ink = np.random.default_rng(3), INK[theme]
    figure: Any = Figure(figsize=(8.6, 3.2), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1))
    features, samples = 5, 9
    mixed = np.abs(np.corrcoef(rng.standard_normal((features, 7))))
    places = {"samples": 0.0, "their covariance": 8.2, "of the whitened": 16.4}
    for title, x in places.items():
        rows = samples if title == "samples" else features
        base = 0.0 if title == "samples" else (samples - features) / 2
        for i, j in np.ndindex(rows, features):
            strength = {"samples": 0.75, "their covariance": mixed[i % features, j], "of the whitened": float(i == j)}
            colour = _mixed(REST[theme], ONE[theme], strength[title])
            box = Rectangle((x + j, base + rows - 1 - i), 1, 1, facecolor=colour, edgecolor=_edge(theme), linewidth=0.8)
            axes.add_patch(box)
        axes.text(x + features / 2, base + rows + 0.25, title, ha="center", color=ink, fontsize=12)
    axes.text(2.5, -0.3, "features", ha="center", va="top", color=ink, fontsize=12)
    for x in (5.5, 13.7):
        axes.annotate("", (x + 2.2, 4.5), (x, 4.5), arrowprops={"arrowstyle": "->", "color": ink, "linewidth": 1.4})
    axes.text(14.8, 4.8, "matrix", ha="center", color=ink, fontsize=12)
    axes.set(xlim=(-0.5, 22), ylim=(-1.3, 10.2), aspect="equal")
    axes.set_axis_off()
    return figure


def _edge(theme: str) -> str:
    return "#ffffff" if theme == "light" else "#14181e"


def _shaded(colour: str, factor: float) -> tuple[float, ...]:
    return tuple(np.clip(_rgb(colour) * factor, 0, 1))


def _mixed(one: str, other: str, share: float) -> tuple[float, ...]:
    return tuple(_rgb(one) * (1 - share) + _rgb(other) * share)


def _rgb(colour: str) -> Any:
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
