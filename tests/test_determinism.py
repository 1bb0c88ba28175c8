"""The same bits for every number of threads, for a part of a batch, wherever the data lie, with AVX2 and AVX-512."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import fastnorm as fn
import hard_inputs

# Several threads' worth each: long groups that are cut across threads, rows, and very short ones.
LARGE = [(3, 80_000), (600, 300), (30_000, 6)]


def draw(norm: Any, groups: int, n: int, dtype: str) -> list[np.ndarray]:
    """Gradient of the output, data, weight, bias."""
    rng = np.random.default_rng([groups, n])
    dy, x = (norm.put(a.astype(dtype)) for a in rng.standard_normal((2, groups, n)) + [[[0]], [[100]]])
    return [dy, x, *rng.uniform(-2, 2, (2, *norm.parameters(x))).astype(dtype)]


def assert_same(got: dict[str, np.ndarray], want: dict[str, np.ndarray], about: object = "") -> None:
    for name in want:
        assert got[name].shape == want[name].shape
    different = [name for name in want if got[name].tobytes() != want[name].tobytes()]
    assert not different, about


@pytest.mark.parametrize(("groups", "n"), LARGE)
def test_threads(norm: Any, dtype: str, groups: int, n: int) -> None:
    arguments = draw(norm, groups, n, dtype)
    with fn.threads(1):
        want = norm.outputs(*arguments)
    for threads in (2, 3, 8, 1):
        with fn.threads(threads):
            assert_same(norm.outputs(*arguments), want, f"{threads} threads")


# ---- parts of a batch ------------------------------------------------------------------------------------------------


def assert_parts_keep_their_bits(norm: Any, arguments: list[np.ndarray], parts: Sequence[slice]) -> None:
    dy, x, *parameters = arguments
    want = norm.outputs(*arguments)
    for part in parts:
        index = (*[slice(None)] * norm.batch_axis, part)
        for copy in (False, True):
            some = [a[index].copy("K") if copy else a[index] for a in (dy, x)]
            got = norm.outputs(*some, *parameters)
            assert_same({k: got[k] for k in ("y", "dx")}, {k: want[k][index] for k in ("y", "dx")}, (part, copy))


@pytest.mark.parametrize(("groups", "n"), [(42, 8), (42, 100), (12, 3000), (600, 300)])
def test_parts_of_a_batch(norm: Any, dtype: str, groups: int, n: int) -> None:
    if norm.op == "batch_norm" and not norm.evaluates:
        pytest.skip("its statistics are those of the batch")
    arguments = draw(norm, groups, n, dtype)
    x, axis = arguments[1], norm.batch_axis
    size = x.shape[axis]
    parts = [slice(0, size // 2), slice(size // 2, size), slice(0, size, 2), slice(None, None, -1)]
    if x.strides[axis] != x.itemsize:
        # Samples that are neighbours in memory lie down columns, and one alone along a span.
        parts += [slice(0, 1), slice(size - 1, size)]
    assert_parts_keep_their_bits(norm, arguments, parts)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize(("channels", "side", "skip"), [(2000, 7, 0), (3000, 5, 3), (500, 15, 1), (9000, 3, 0)])
def test_large_maps_of_few_elements(dtype: str, channels: int, side: int, skip: int, simd_target: str) -> None:
    """Outputs of more than 8 MB go past the caches, as one long row; those of a sample do not."""
    samples = (9 << 20) // np.dtype(dtype).itemsize // (channels * side * side) + 1
    shape = (samples, channels, side, side)
    rng = np.random.default_rng([channels, side])
    x = (rng.standard_normal(math.prod(shape) + skip, dtype="f4") + 3).astype(dtype)[skip:].reshape(shape)
    dy = x[::-1].copy()
    mean, var, weight, bias = rng.uniform(0.5, 2, (4, channels)).astype("f4").astype(dtype).astype("f8")
    weight, bias = weight.astype(dtype), bias.astype(dtype)
    rstd = 1 / np.sqrt(var)

    def outputs(part: slice) -> dict[str, np.ndarray]:
        y = fn.batch_norm(x[part], mean, var, weight, bias, activation="silu")
        gradients = fn.batch_norm_backward(
            dy[part], x[part], weight, mean, rstd, training=False, grad_mask=(True, False, False)
        )
        return {"y": y, "dx": gradients.dx}

    want = outputs(slice(None))
    for sample in (0, samples // 2, samples - 1):
        part = slice(sample, sample + 1)
        assert_same(outputs(part), {name: values[part] for name, values in want.items()}, sample)


@pytest.mark.parametrize("spatial", [49, 2100])
def test_one_channel_alone(dtype: str, spatial: int) -> None:
    rng = np.random.default_rng(spatial)
    dy, x = rng.standard_normal((2, 30, 3, spatial)).astype(dtype) + np.array([[[[0]]], [[[100]]]], dtype)

    def outputs(dy: np.ndarray, x: np.ndarray) -> dict[str, np.ndarray]:
        y, mean, rstd = fn.batch_norm_forward(x)
        gradients = fn.batch_norm_backward(dy, x, None, mean, rstd)
        return {"y": y, "mean": mean[None], "rstd": rstd[None], "dx": gradients.dx}

    want = outputs(dy, x)
    for one in (slice(0, 1), slice(2, 3)):
        for some in ((dy[:, one], x[:, one]), (dy[:, one].copy(), x[:, one].copy())):
            assert_same(outputs(*some), {k: v[:, one] for k, v in want.items()}, one)


# ---- places in memory ------------------------------------------------------------------------------------------------


def place(x: np.ndarray, steps: Sequence[int], shift: int) -> np.ndarray:
    """The same values with the axes in the same order, so many elements apart and bytes behind a boundary."""
    order = np.argsort([-abs(s) for s in x.strides], kind="stable")
    room = [n * abs(step) for n, step in zip(x.shape, steps, strict=True)]
    raw = np.zeros(math.prod(room) * x.itemsize + shift + 64, np.uint8)
    start = -raw.ctypes.data % 64 + shift
    memory = np.ndarray([room[a] for a in order], x.dtype, raw.data, start).transpose(np.argsort(order))
    view = memory[tuple(slice(None, None, step) for step in steps)]
    view[...] = x
    return view


def places(ndim: int) -> list[tuple[list[int], int]]:
    aligned = [[1] * a + [step] + [1] * (ndim - a - 1) for a in range(ndim) for step in (2, -1)]
    return [*(([1] * ndim, shift) for shift in (0, 1, 4, 8, 36)), *((s, 0) for s in aligned), ([-2] * ndim, 3)]


@pytest.mark.parametrize(("groups", "n"), [(6, 5), (42, 100), (6, 2100)])
def test_places_in_memory(norm: Any, dtype: str, groups: int, n: int) -> None:
    dy, x, *parameters = draw(norm, groups, n, dtype)
    want = norm.outputs(dy, x, *parameters)
    there = places(x.ndim)
    for k, (steps, shift) in enumerate(there):
        got = norm.outputs(place(dy, *there[k - 3]), place(x, steps, shift), *parameters)
        assert_same(got, want, (steps, shift))
        out = place(np.zeros_like(x), *there[k - 5])
        norm.forward(place(x, steps, shift), *parameters, out=out)
        assert_same({"y": out}, {"y": want["y"]}, (steps, shift, there[k - 5]))


@pytest.mark.parametrize("n", [5, 100, 2100])
def test_rows_along_several_axes(dtype: str, n: int) -> None:
    rng = np.random.default_rng(n)
    dy, x = rng.standard_normal((2, 12, 9, n)).astype(dtype)
    weight = rng.uniform(-2, 2, n).astype(dtype)
    for rows in (slice(0, 7), slice(0, 8)):
        some = [a[:, rows] for a in (dy, x)]
        _, mean, rstd = fn.layer_norm_forward(some[1], weight)
        want = fn.layer_norm_backward(*(a.copy() for a in some), weight, mean, rstd)._asdict()
        assert_same(fn.layer_norm_backward(*some, weight, mean, rstd)._asdict(), want, rows)


# ---- SIMD targets ----------------------------------------------------------------------------------------------------


FUSED = [target for target in ("AVX2", "AVX512", "AVX512_BF16") if target in fn.simd_targets()]


@pytest.mark.skipif(len(FUSED) < 2, reason="needs AVX-512")
def test_targets_with_fused_operations(norm: Any, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = [*range(2, 36), 63, 64, 65, 127, 129, 1023, 1025, 2049]
    cases = [draw(norm, 6, n, dtype) for n in lengths] + [draw(norm, 900, 100, dtype), draw(norm, 6, 20_000, dtype)]
    for n in (65, 1100):
        x = norm.put(hard_inputs.batch(n, dtype)[:42])
        cases.append([x[::-1], x])
    before = fn.simd_target()
    results = {}
    try:
        for target in FUSED:
            fn.set_simd_target(target)
            results[target] = [norm.outputs(*case) for case in cases]
    finally:
        fn.set_simd_target(before)
    for case, first, *others in zip(cases, *results.values(), strict=True):
        for other in others:
            assert_same(first, other, case[1].shape)
