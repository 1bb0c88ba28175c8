"""What options cost on a few elements: ``python bench/calls.py [--only TEXT] [--rounds N]``.

Every way to call a function takes turns with its plain call and with np.multiply of the same size; figures are medians,
ratios medians of the ratios of the rounds. Only fastnorm's public functions are called, so any installed build can be
measured, and two builds compared.
"""

from __future__ import annotations

import argparse
import functools
import inspect
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

import fastnorm as fn
import timing

ROWS = (2, 384)
ONE_ROW = (1, 768)
IMAGES = (4, 8, 7, 7)
FILTERS = (16, 4, 3, 3)

PLAIN, MULTIPLY = "plain", "np.multiply"


class InOneThread:
    """Calls inside ``with threads(1)``, which is entered once for a row of them."""

    row = 1e-4

    def __init__(self, call: timing.Call) -> None:
        self._call = call

    def __call__(self) -> None:
        """Make one call."""
        self.repeat(1)

    def repeat(self, count: int) -> None:
        """Make so many."""
        with fn.threads(1):
            for _ in range(count):
                self._call()


class Function(NamedTuple):
    """A function and the arguments of its plain call, of which those in the shape of the first are data."""

    name: str
    arguments: tuple[Any, ...]
    bias: np.ndarray | None = None  # which the activation of a backward needs

    @property
    def data(self) -> np.ndarray:
        """What is normalized, or its gradient."""
        found: np.ndarray = self.arguments[0]
        return found

    def call(self, **options: Any) -> timing.Call:
        """Return a call with options."""
        return functools.partial(getattr(fn, self.name), *self.arguments, **options)

    def sliced(self) -> timing.Call:
        """Return the call on slices of arrays that are wider along axis 1."""
        shape = self.data.shape
        wider = [slice_of_wider(a) if np.shape(a) == shape else a for a in self.arguments]
        return self._replace(arguments=tuple(wider)).call()


def slice_of_wider(a: np.ndarray) -> np.ndarray:
    """Return the same values with twice as much memory from one index of the first axis to the next."""
    return np.concatenate([a, a], axis=1)[:, : a.shape[1]]


def functions(rng: np.random.Generator) -> Iterator[Function]:
    """Yield what is called: inference, training forward and backward of each operation."""
    yield from _of_rows(rng)
    x, dy = rng.standard_normal((2, *IMAGES), dtype=np.float32)
    weight, bias = rng.standard_normal((2, IMAGES[1]), dtype=np.float32)
    for op, groups in (("batch_norm", ()), ("group_norm", (4,)), ("instance_norm", ())):
        statistics = (bias, weight**2) if op == "batch_norm" else ()
        yield Function(op, (x, *groups, *statistics, weight, bias))
        yield Function(f"{op}_forward", (x, *groups, weight, bias))
        saved = getattr(fn, f"{op}_forward")(x, *groups, weight, bias)
        yield Function(f"{op}_backward", (dy, x, *groups, weight, *saved[1:]), bias)
    v, dw = rng.standard_normal((2, *FILTERS), dtype=np.float32)
    g, gain = np.ones((FILTERS[0], 1, 1, 1), np.float32), np.ones(FILTERS[0], np.float32)
    for op, factor in (("weight_norm", g), ("weight_standardization", gain)):
        yield Function(op, (v, factor))
        yield Function(f"{op}_forward", (v, factor))
        yield Function(f"{op}_backward", (dw, v, factor, *getattr(fn, f"{op}_forward")(v, factor)[1:]))


def _of_rows(rng: np.random.Generator) -> Iterator[Function]:
    for op in ("layer_norm", "rms_norm"):
        for shape in (ONE_ROW, ROWS):
            x, dy = rng.standard_normal((2, *shape), dtype=np.float32)
            weight, bias = rng.standard_normal((2, shape[1]), dtype=np.float32)
            saved = getattr(fn, f"{op}_forward")(x, weight, bias)
            yield Function(op, (x, weight, bias))
            yield Function(f"{op}_forward", (x, weight, bias))
            yield Function(f"{op}_backward", (dy, x, weight, *saved[1:]), bias)


def ways(function: Function) -> dict[str, timing.Call]:
    """Return the ways to call a function by name: those that its parameters allow."""
    accepted, x, bias = inspect.signature(getattr(fn, function.name)).parameters, function.data, function.bias
    options: dict[str, dict[str, Any]] = {
        "axis=(1,)": {"axis": (1,)},
        "where=": {"where": np.arange(x.size).reshape(x.shape) % 5 > 0},
        "offset=": {"offset": 1.0},
        "quantize=": {"quantize": fn.Quantize(0.05)},
        "activation=": {"activation": "relu"} if bias is None else {"activation": "relu", "bias": bias},
        "grad_mask=": {"grad_mask": (True, False, False)},
        "out=": {"out": np.empty_like(x)},
    }
    if not function.name.startswith(("layer", "rms")):
        del options["axis=(1,)"]
    found: dict[str, timing.Call] = {PLAIN: function.call(), "slices": function.sliced()}
    found["in threads(1)"] = InOneThread(function.call())
    return found | {name: function.call(**given) for name, given in options.items() if {*given} <= {*accepted}}


def quantizations(x: np.ndarray) -> dict[str, timing.Call]:
    """Return the ways to make a `Quantize`."""
    scales, zeros = np.full(x.shape[1], 0.05, np.float32), np.zeros(x.shape[1], np.int8)
    return {
        PLAIN: functools.partial(fn.Quantize, 0.05),
        "zero point": functools.partial(fn.Quantize, 0.05, 3, np.uint8),
        "arrays": functools.partial(fn.Quantize, scales, zeros),
    }


def show(title: str, calls: dict[str, timing.Call], x: np.ndarray, plan: timing.Plan) -> None:
    """Measure the ways to call one function and print a line each."""
    times = timing.interleaved({**calls, MULTIPLY: functools.partial(np.multiply, x, x)}, plan)
    print(f"{title:<46}{'time':>10}{'to plain':>10}{'to np.multiply':>16}")
    for name in calls:
        plain, multiply = (timing.ratio(times[name], times[other]).median for other in (PLAIN, MULTIPLY))
        print(f"  {name:<44}{timing.seconds(times[name]):>10}{plain:>9.2f}x{multiply:>15.1f}x", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="TEXT", help="functions with this text in their name")
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="how often the calls take turns (7)")
    options = parser.parse_args()
    plan = timing.Plan(options.rounds, turn=0.003, settle=0.0)
    print(f"fastnorm {fn.__version__}, NumPy {np.__version__}, float32")
    for function in functions(np.random.default_rng(0)):
        if options.only in function.name:
            show(f"{function.name} {function.data.shape}", ways(function), function.data, plan)
    if options.only in "Quantize":
        x = np.ones(ROWS, np.float32)
        show("Quantize", quantizations(x), x, plan)


if __name__ == "__main__":
    main()
