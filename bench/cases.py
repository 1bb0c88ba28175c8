"""What is measured: operations at the places where networks have them, and sweeps over sizes, rows and threads.

A section is a list of specs. To measure something new, add a row to a table below; a new operation needs an entry in
problems.py and judge.py and, for each library that has it, in that library's peer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from shapes import Shape

# Layouts whose channels, or filters, are the last of several axes.
_CHANNELS_LAST: Final = ("NHWC", "HWIO")

PASSES: Final = {
    "layer_norm": ("inference", "backward"),
    "rms_norm": ("inference", "backward"),
    "batch_norm": ("inference", "forward", "backward"),
    "group_norm": ("inference", "backward"),
    "instance_norm": ("inference", "backward"),
    "weight_norm": ("inference", "backward"),
    "weight_standardization": ("inference", "backward"),
}

Table = tuple[tuple[Any, ...], ...]

# place, rows, width; * marks those of the quick run
LAYER: Final[Table] = (
    ("RNN, 64 x 100 steps", 6400, 16),
    ("RNN, 64 x 100 steps", 6400, 64),
    ("*Swin-T stage 1, batch 8", 25088, 96),
    ("ConvNeXt-T stage 1, batch 16", 50176, 96),
    ("ConvNeXt-T stage 4, batch 32", 1568, 768),
    ("*ViT-B/16, batch 1", 197, 768),
    ("ViT-B/16, batch 16", 3152, 768),
    ("*BERT-base, 8 x 512 tokens", 4096, 768),
    ("BERT-large, 32 x 512 tokens", 16384, 1024),
)
RMS: Final[Table] = (
    ("*Llama 7B, 512 tokens", 512, 4096),
    ("Llama 7B, 4096 tokens", 4096, 4096),
    ("Llama 70B, 128 tokens", 128, 8192),
    ("Qwen heads, 512 x 32", 16384, 128),
)

# place, batch, channels, height and width
BATCH: Final[Table] = (
    ("ResNet-50 stem, batch 1", 1, 64, 112),
    ("ResNet-50 stem, batch 32", 32, 64, 112),
    ("*ResNet-50 stage 1, batch 32", 32, 64, 56),
    ("*ResNet-50 stage 3, batch 32", 32, 256, 14),
    ("ResNet-50 stage 4, batch 32", 32, 2048, 7),
    ("DenseNet-121 block 2, batch 16", 16, 512, 28),
    ("DenseNet-121 end, batch 16", 16, 1024, 7),
    ("MobileNetV2 stage 2, batch 16", 16, 96, 56),
    ("MobileNetV2 end, batch 1", 1, 1280, 7),
)
GROUP: Final[Table] = (
    ("*Stable Diffusion U-Net top, batch 2", 2, 320, 64),
    ("Stable Diffusion U-Net bottom, batch 2", 2, 1280, 8),
    ("Stable Diffusion VAE, batch 1", 1, 128, 512),
)
INSTANCE: Final[Table] = (
    ("*style transfer, batch 4", 4, 64, 128),
    ("style transfer, one photograph", 1, 32, 512),
)
# place, outputs, inputs, height and width of the kernel
WEIGHTS: Final[Table] = (
    ("*BERT-large, first dense layer", 4096, 1024, 1),
    ("*ResNet-50 stage 4", 512, 512, 3),
    ("ResNet-50 stem", 64, 3, 7),
    ("ViT-B/16 patches", 768, 3, 16),
)


@dataclass(frozen=True)
class Spec:
    """One measurement: a shape, its data type, the number of threads.

    Attributes
    ----------
    cold : bool
        Whether the data are in no cache.
    callers : int
        Number of Python threads that call at once; 0: the calls follow one another, beside a copy.
    """

    shape: Shape
    dtype: str = "float32"
    threads: int = 1
    cold: bool = False
    callers: int = 0

    @property
    def name(self) -> str:
        """All of it in one word."""
        situation = ":cold" if self.cold else f":{self.callers}-callers" if self.callers else ""
        return f"{self.shape.name}:{self.dtype}:{self.threads}t{situation}"

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape.shape)


def one_of_each_kind(specs: Iterable[Spec]) -> list[Spec]:
    """Return the smallest of every operation, pass, layout and data type."""
    found: dict[tuple[str, ...], Spec] = {}
    for spec in specs:
        kind = (spec.shape.op, spec.shape.direction, spec.shape.layout, spec.dtype)
        if kind not in found or spec.size < found[kind].size:
            found[kind] = spec
    return list(found.values())


def network_shapes(quick: bool = False) -> Iterator[Shape]:
    """Yield every place in every pass and layout."""
    for op, table in (("layer_norm", LAYER), ("rms_norm", RMS)):
        for place, rows, width in _chosen(table, quick):
            for direction in PASSES[op]:
                yield Shape(place, op, direction, (rows, width), "MD")
    for op, table in (("batch_norm", BATCH), ("group_norm", GROUP), ("instance_norm", INSTANCE)):
        for place, n, c, side in _chosen(table, quick):
            for direction in PASSES[op]:
                groups = 32 if op == "group_norm" else 0
                yield Shape(place, op, direction, (n, c, side, side), "NCHW", groups)
                yield Shape(place, op, direction, (n, side, side, c), "NHWC", groups)
    for op in ("weight_norm", "weight_standardization"):
        for place, o, i, side in _chosen(WEIGHTS, quick):
            for direction in PASSES[op]:
                yield Shape(place, op, direction, (o, i, side, side), "OIHW")
                yield Shape(place, op, direction, (side, side, i, o), "HWIO")
    for direction in PASSES["batch_norm"]:
        yield Shape("perceptron, batch 4096", "batch_norm", direction, (4096, 512), "NC")


def _chosen(table: Table, quick: bool) -> Iterator[tuple[Any, ...]]:
    for place, *size in table:
        if place.startswith("*") or not quick:
            yield place.lstrip("*"), *size


# ---- sections --------------------------------------------------------------------------------------------------------


def networks(quick: bool, threads: int) -> Iterator[Spec]:
    """Every place in float32, the quick run's places in 16 bits as well, one place of each kind in float64.

    Training differs from backward and inference in nothing that a data type would show.
    """
    for shape in network_shapes(quick):
        yield Spec(shape, "float32", threads)
    if not quick:
        others = [shape for shape in network_shapes(quick=True) if shape.direction != "forward"]
        for shape in others:
            for dtype in ("bfloat16", "float16"):
                yield Spec(shape, dtype, threads)
        yield from one_of_each_kind(
            Spec(shape, "float64", threads) for shape in others if shape.layout not in _CHANNELS_LAST
        )


def scaling(quick: bool, threads: int) -> Iterator[Spec]:
    """The quick run's forward and backward passes on 1, 2, 4 ... threads."""
    counts = [n for n in (1, 2, 4, 8, 16, 32, 64, 128) if n < threads] + [threads]
    for shape in network_shapes(quick=True):
        if shape.layout not in (*_CHANNELS_LAST, "NC") and (not quick or shape.direction == "inference"):
            for n in counts if threads > 1 else ():
                yield Spec(shape, "float32", n)


def calls(quick: bool, threads: int) -> Iterator[Spec]:
    """Arrays so small that the call itself is what takes the time."""
    for op, shape, layout in (
        ("layer_norm", (1, 768), "MD"),
        ("rms_norm", (1, 768), "MD"),
        ("rms_norm", (1, 4096), "MD"),
        ("batch_norm", (1, 768), "NC"),
        ("group_norm", (1, 64, 4, 4), "NCHW"),
        ("instance_norm", (1, 64, 4, 4), "NCHW"),
    ):
        yield Spec(Shape("one token", op, "inference", shape, layout, 8 if op == "group_norm" else 0), threads=threads)


def cold(quick: bool, threads: int) -> Iterator[Spec]:
    """Calls whose data were last used long ago, as those between the other layers of a network."""
    shapes = [
        Shape("one token", "layer_norm", "inference", (1, 768), "MD"),
        Shape("64 tokens", "layer_norm", "inference", (64, 768), "MD"),
        Shape("512 tokens", "layer_norm", "inference", (512, 768), "MD"),
        Shape("4096 tokens", "layer_norm", "inference", (4096, 768), "MD"),
        Shape("512 tokens", "layer_norm", "backward", (512, 768), "MD"),
        Shape("one image", "batch_norm", "inference", (1, 64, 56, 56), "NCHW"),
        Shape("8 images", "batch_norm", "forward", (8, 64, 56, 56), "NCHW"),
        Shape("8 images", "group_norm", "inference", (8, 28, 28, 128), "NHWC", 32),
    ]
    for shape in shapes[1:3] if quick else shapes:
        yield Spec(shape, threads=threads, cold=True)


def together(quick: bool, threads: int) -> Iterator[Spec]:
    """Calls from several Python threads at once, each of which may use all threads of the library."""
    for rows in (64,) if quick else (1, 64, 1024):
        shape = Shape("tokens of each caller", "layer_norm", "inference", (rows, 768), "MD")
        for callers in (1, 2, 4, 8):
            yield Spec(shape, threads=threads, callers=callers)


def sizes(quick: bool, threads: int) -> Iterator[Spec]:
    """From the first cache to main memory: rows of 768, more and more of them, up to a gigabyte each way."""
    for exponent in range(4, 16, 3) if quick else range(2, 18):
        yield Spec(Shape("size sweep", "layer_norm", "inference", (2**exponent, 768), "MD"), threads=threads)
    for exponent in () if quick else range(3, 18, 2):
        yield Spec(Shape("size sweep", "rms_norm", "inference", (2**exponent, 768), "MD"), threads=threads)
        yield Spec(Shape("size sweep", "batch_norm", "forward", (2**exponent * 12, 64), "NC"), threads=threads)
    if not quick:
        yield Spec(Shape("size sweep", "layer_norm", "inference", (2**28 // 768, 768), "MD"), threads=threads)


def rows(quick: bool, threads: int) -> Iterator[Spec]:
    """Four million elements as many short rows or as few long ones, and two rows that are longer still."""
    for exponent in range(4, 23, 6) if quick else range(4, 23, 2):
        shape = (2 ** (22 - exponent), 2**exponent)
        yield Spec(Shape("row sweep", "layer_norm", "inference", shape, "MD"), threads=threads)
    if not quick:
        yield Spec(Shape("row sweep", "layer_norm", "inference", (2, 2**23), "MD"), threads=threads)


# How many shapes are drawn, and how many of them in the quick run.
_DRAWN: Final = (72, 8)


def drawn(quick: bool, threads: int) -> Iterator[Spec]:
    """Shapes that nothing was tuned on: operations, passes, layouts, types and sizes drawn, always the same."""
    rng = np.random.default_rng(20261127)
    for _ in range(_DRAWN[quick]):
        op = str(rng.choice(list(PASSES)))
        direction = str(rng.choice(PASSES[op]))
        dtype = str(rng.choice(["float32", "float32", "bfloat16", "float16"]))
        exponent = float(rng.uniform(np.log2(100), 26))
        yield Spec(_drawn_shape(rng, op, direction, exponent), dtype, threads)


def _drawn_shape(rng: np.random.Generator, op: str, direction: str, exponent: float) -> Shape:
    """Spread about 2^exponent elements over the axes, log-uniformly."""

    def lengths(count: int) -> list[int]:
        shares = rng.dirichlet(np.ones(count))
        return [max(1, round(2.0 ** (exponent * share))) for share in shares]

    place = "drawn"
    if op in ("layer_norm", "rms_norm"):
        rows, width = lengths(2)
        return Shape(place, op, direction, (rows, max(width, 2)), "MD")
    if op.startswith("weight_"):
        kernel = int(rng.choice([1, 3, 5, 7]))
        exponent -= 2 * np.log2(kernel)
        outputs, inputs = lengths(2)
        if rng.random() < 0.5:
            return Shape(place, op, direction, (outputs, max(inputs, 2), kernel, kernel), "OIHW")
        return Shape(place, op, direction, (kernel, kernel, max(inputs, 2), outputs), "HWIO")
    groups = 0
    n, c, h, w = lengths(4)
    if op == "group_norm":
        groups = int(rng.choice([1, 2, 4, 8, 32]))
        c = groups * max(1, round(c / groups))
    h = max(h, 2)
    if rng.random() < 0.5:
        return Shape(place, op, direction, (n, c, h, w), "NCHW", groups)
    return Shape(place, op, direction, (n, h, w, c), "NHWC", groups)


def memory(quick: bool, threads: int) -> Iterator[Spec]:
    """Outputs of 1 to 256 MB: what fresh memory costs."""
    for megabytes in (4, 64) if quick else (1, 4, 16, 64, 256):
        shape = Shape("memory sweep", "layer_norm", "inference", (megabytes * 256, 1024), "MD")
        yield Spec(shape, threads=threads)


SECTIONS: Final[dict[str, Callable[[bool, int], Iterator[Spec]]]] = {
    "memory": memory,
    "networks": networks,
    "scaling": scaling,
    "calls": calls,
    "cold": cold,
    "together": together,
    "sizes": sizes,
    "rows": rows,
    "drawn": drawn,
}
