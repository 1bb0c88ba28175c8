"""What a call does besides normalizing: ``python bench/fused.py [--threads N] [--rounds N]``.

Activations, output in bytes, residual sums, 16-bit data, other layouts and masks, each against the plain float32 layer
norm of the same shape and against a copy of the bytes that it must read and write. Everything takes turns; figures are
medians of ratios.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import bandwidth
import fastnorm as fn
import timing

SHAPES = [(256, 768), (4096, 768), (16384, 1024), (65536, 64)]


class Case(NamedTuple):
    """A call, the bytes it must move, and the call that it is compared with."""

    call: Callable[[], Any]
    nbytes: int
    plain: str = "layer norm"


def cases(shape: tuple[int, int]) -> dict[str, Case]:
    """Return the calls for data of one shape by name."""
    rng = np.random.default_rng(0)
    x, residual, dy = rng.standard_normal((3, *shape)).astype(np.float32)
    weight, bias = rng.standard_normal((2, shape[1])).astype(np.float32)
    y, h, n = np.empty_like(x), np.empty_like(x), x.nbytes
    constants = rng.standard_normal(shape[1]), rng.uniform(0.5, 2, shape[1])
    mean, rstd = fn.layer_norm_forward(x)[1:]
    found = {
        "layer norm": Case(lambda: fn.layer_norm(x, weight, bias, out=y), 2 * n),
        "add_layer_norm": Case(lambda: fn.add_layer_norm(x, residual, weight, bias, out=(y, h)), 4 * n),
        "in place": Case(lambda: fn.add_layer_norm(x, h, weight, bias, out=(y, h)), 4 * n),
        "backward": Case(lambda: fn.layer_norm_backward(dy, x, weight, mean, rstd), 3 * n),
    }
    for activation in ("relu", "silu", "gelu", "gelu_tanh"):
        call = functools.partial(fn.layer_norm, x, weight, bias, activation=activation, out=y)
        found[activation] = Case(call, 2 * n)
    q, y8 = fn.Quantize(0.05), np.empty(shape, np.int8)
    found["int8"] = Case(lambda: fn.layer_norm(x, weight, bias, quantize=q, out=y8), n + y8.nbytes)
    for name, dtype in sixteen_bits().items():
        x2, y2 = x.astype(dtype), np.empty(shape, dtype)
        found[name] = Case(functools.partial(fn.layer_norm, x2, weight, bias, out=y2), 2 * x2.nbytes)
    first, last = x.T.copy(), x  # (channels, samples) and (samples, channels) of one batch norm
    out = np.empty_like(first)
    found["batch norm, channel first"] = Case(lambda: fn.batch_norm(first[None], *constants, out=out[None]), 2 * n)
    found["channel last"] = Case(lambda: fn.batch_norm(last, *constants, out=y), 2 * n, "batch norm, channel first")
    wide = np.zeros((shape[0], 2 * shape[1]), np.float32)
    some, alike = wide[:, : shape[1]], wide[:, shape[1] :]
    some[...] = x
    found["rows of a wider array"] = Case(lambda: fn.layer_norm(some, weight, bias, out=alike), 2 * n)
    columns = np.asfortranarray(x)
    across = np.empty_like(columns)
    found["transposed"] = Case(lambda: fn.layer_norm(columns, weight, bias, out=across), 2 * n)
    found["every second"] = Case(lambda: fn.layer_norm(wide[:, ::2], weight, bias, out=y), 3 * n)
    where = rng.random((shape[0], 1)) < 0.7
    found["masked"] = Case(lambda: fn.layer_norm(x, weight, bias, where=where, out=y), 2 * n)
    return found


def sixteen_bits() -> dict[str, np.dtype[Any]]:
    """Return the 16-bit types by name; bfloat16 is that of ml_dtypes."""
    types = {"float16": np.dtype(np.float16)}
    with contextlib.suppress(ImportError):
        import ml_dtypes

        types["bfloat16"] = np.dtype(ml_dtypes.bfloat16)
    return types


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=fn.get_num_threads(), metavar="N")
    parser.add_argument("--rounds", type=int, default=7, metavar="N")
    options = parser.parse_args()
    fn.set_num_threads(options.threads)
    for shape in SHAPES:
        print(f"{shape[0]} x {shape[1]}, {options.threads} threads    time   share of copy   time of the plain call")
        found = cases(shape)
        for name, case in found.items():
            calls: dict[str, timing.Call] = {
                "case": case.call,
                "plain": found[case.plain].call,
                "copy": bandwidth.Copy(case.nbytes // 2),
            }
            times = timing.interleaved(calls, timing.Plan(options.rounds, 0.01))
            share, more = timing.ratio(times["copy"], times["case"]), timing.ratio(times["case"], times["plain"])
            print(f"  {name:<27} {timing.seconds(times['case']):>9}   {share.median:12.2f}   {more.median:12.2f} x")


if __name__ == "__main__":
    main()
