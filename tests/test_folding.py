"""fold_batch_norm: one layer computes what it and the batch normalization after it compute."""

import itertools
import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fastnorm as fn
from fastnorm import reference

Array = npt.NDArray[Any]

IN, OUT = 6, 4


def normal(*shape: int, seed: int = 0, dtype: Any = np.float32) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def statistics(channels: int, dtype: Any = np.float32) -> dict[str, Array]:
    mean, gamma, beta = normal(3, channels, seed=1, dtype=dtype)
    return {"running_mean": mean, "running_var": np.abs(gamma) + dtype(0.1), "gamma": gamma, "beta": beta}


def correlate(x: Array, weight: Array, groups: int = 1) -> Array:
    """A convolution without padding, weight in the order OIHW, in float64."""
    parts = []
    for one, filters in zip(np.split(x, groups, axis=1), np.split(weight, groups), strict=True):
        windows = np.lib.stride_tricks.sliding_window_view(one, weight.shape[2:], axis=(2, 3))
        parts.append(np.einsum("nihwkl,oikl->nohw", windows, filters, dtype=np.float64))
    return np.concatenate(parts, axis=1)


def transposed(x: Array, weight: Array, groups: int = 1) -> Array:
    """A transposed convolution, weight in the order (in, out / groups, H, W): a sum of shifted images, in float64."""
    height, width = (a + b - 1 for a, b in zip(x.shape[2:], weight.shape[2:], strict=True))
    parts = []
    for one, filters in zip(np.split(x, groups, axis=1), np.split(weight, groups), strict=True):
        y = np.zeros((len(x), weight.shape[1], height, width))
        for k, m in itertools.product(*map(range, weight.shape[2:])):
            y[:, :, k : k + x.shape[2], m : m + x.shape[3]] += np.einsum("nihw,io->nohw", one, filters[:, :, k, m])
        parts.append(y)
    return np.concatenate(parts, axis=1)


def spread(bias: Array, y: Array) -> Array:
    return y + bias.reshape(-1, *[1] * (y.ndim - 2))


@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize(
    ("layer", "shape", "options"),
    [
        (lambda x, w: x[..., 0, 0] @ w.T, (OUT, IN), {}),
        (lambda x, w: x[..., 0, 0] @ w, (IN, OUT), {"axis": -1}),
        (correlate, (OUT, IN, 3, 2), {}),
        (lambda x, w: correlate(x, w, 2), (OUT, IN // 2, 3, 2), {"groups": 2}),
        (lambda x, w: correlate(x, w, IN), (IN, 1, 3, 2), {}),
        (lambda x, w: correlate(x, w.transpose(3, 2, 0, 1)), (3, 2, IN, OUT), {"axis": 3}),
        (transposed, (IN, OUT, 3, 2), {"axis": 1}),
        (lambda x, w: transposed(x, w, 2), (IN, OUT // 2, 3, 2), {"axis": 1, "groups": 2}),
        (lambda x, w: transposed(x, w, IN), (IN, 1, 3, 2), {"axis": -3, "groups": IN}),
    ],
    ids=["linear", "linear-io", "conv", "grouped", "depthwise", "hwio", "transposed", "transposed-grouped", "up"],
)
def test_the_folded_layer_is_the_layer_and_the_norm(layer: Any, shape: Any, options: Any, with_bias: bool) -> None:
    x, weight = normal(3, IN, 5, 4, dtype=np.float64), normal(*shape, seed=2, dtype=np.float64)
    y = layer(x, weight)
    bias = normal(y.shape[1], seed=3, dtype=np.float64) if with_bias else None
    norm = statistics(y.shape[1], np.float64)
    expected = fn.batch_norm(
        y if bias is None else spread(bias, y), norm["running_mean"], norm["running_var"], norm["gamma"], norm["beta"]
    )
    folded = fn.fold_batch_norm(weight, bias, **norm, **options)
    np.testing.assert_allclose(spread(folded.bias, layer(x, folded.weight)), expected, rtol=1e-12, atol=1e-13)


def cases() -> list[Any]:
    return [((OUT, IN, 3), {}, OUT), ((IN, OUT, 2), {"axis": 1, "groups": 3}, 3 * OUT), ((0, 3), {}, 0)]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize(("shape", "options", "channels"), cases())
def test_parameters_are_those_of_the_reference_rounded_once(
    dtype: str, shape: Any, options: Any, channels: int
) -> None:
    kind = np.dtype(pytest.importorskip("ml_dtypes").bfloat16 if dtype == "bfloat16" else dtype)
    weight, bias = normal(*shape).astype(kind), normal(channels, seed=5).astype(kind)
    norm = statistics(channels, np.float64)
    folded = fn.fold_batch_norm(weight, bias, **norm, **options)
    expected = reference.fold_batch_norm(weight, bias, **norm, **options)
    for got, exact in zip(folded, expected, strict=True):
        assert got.dtype == kind
        assert got.shape == exact.shape
        mantissa = {"float16": 10, "bfloat16": 7, "float32": 23, "float64": 50}[dtype]
        scale = 2.0 ** (np.frexp(exact)[1] - 1 - mantissa)
        assert (np.abs(got.astype(np.float64) - exact) <= (0.5 + 1e-9) * scale).all()


def test_bfloat16_is_not_rounded_twice() -> None:
    """The product is just above the middle of two bfloat16, by less than float32 can tell."""
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    gamma = np.array([1 + 2.0**-8 + 2.0**-40, -1 - 2.0**-8 - 2.0**-40, 1 + 2.0**-8, 1 + 2.0**-7 + 2.0**-8 - 2.0**-40])
    folded = fn.fold_batch_norm(np.ones((4, 1), bfloat16), None, np.zeros(4), np.ones(4), gamma, eps=0.0)
    np.testing.assert_array_equal(folded.weight.astype(float).ravel(), [1 + 2.0**-7, -1 - 2.0**-7, 1, 1 + 2.0**-7])


def test_dtypes_of_the_parameters() -> None:
    weight, norm = normal(OUT, IN, dtype=np.float16), statistics(OUT)
    assert fn.fold_batch_norm(weight, None, **norm).bias.dtype == np.float16
    folded = fn.fold_batch_norm(weight, normal(OUT), **norm)
    assert (folded.weight.dtype, folded.bias.dtype) == (np.float16, np.float32)


def test_arguments_are_not_written_and_may_be_strided() -> None:
    weight, bias, norm = normal(IN, 2 * OUT)[:, ::2].T, normal(OUT)[::-1], statistics(OUT)
    before = [np.array(a) for a in (weight, bias, *norm.values())]
    folded = fn.fold_batch_norm(weight, bias, **norm)
    contiguous = fn.fold_batch_norm(np.array(weight), np.array(bias), **norm)
    for got, expected in zip(folded, contiguous, strict=True):
        np.testing.assert_array_equal(got, expected)
    for got, expected in zip((weight, bias, *norm.values()), before, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_a_channel_without_variance_is_its_beta() -> None:
    folded = fn.fold_batch_norm(np.ones((2, 3)), None, [7.0, 7.0], [0.0, 1.0], beta=[0.5, 0.5], eps=0.0)
    np.testing.assert_array_equal(folded.weight, [[0.0] * 3, [1.0] * 3])
    np.testing.assert_array_equal(folded.bias, [0.5, -6.5])


def test_a_norm_before_a_padded_convolution_cannot_be_folded() -> None:
    """What the docstring says: zeros around x are not what the norm would have made of zeros."""
    x, weight = normal(1, 2, 4, 4, dtype=np.float64), normal(3, 2, 3, 3, seed=1, dtype=np.float64)
    mean, var = np.array([1.0, -2.0]), np.array([2.0, 0.5])
    a = 1 / np.sqrt(var + 1e-5)
    around = ((0, 0), (0, 0), (1, 1), (1, 1))
    expected = correlate(np.pad(fn.batch_norm(x, mean, var), around), weight)
    bias = -np.einsum("oikl,i->o", weight, mean * a)
    folded = spread(bias, correlate(np.pad(x, around), weight * a[:, None, None]))
    inside = (..., slice(1, -1), slice(1, -1))
    np.testing.assert_allclose(folded[inside], expected[inside], rtol=1e-12)
    assert np.abs(folded - expected).max() > 1


def test_as_pytorch_folds() -> None:
    torch = pytest.importorskip("torch")
    for conv in (
        torch.nn.Conv2d(IN, OUT, 3, groups=2),
        torch.nn.Conv2d(IN, OUT, 3, bias=False),
        torch.nn.ConvTranspose2d(IN, OUT, 3),
        torch.nn.ConvTranspose2d(IN, OUT, 3, groups=2),
    ):
        bn = torch.nn.BatchNorm2d(OUT, eps=1e-3)
        with torch.no_grad():
            for name, value in statistics(OUT).items():
                own = {"gamma": "weight", "beta": "bias"}.get(name, name)
                getattr(bn, own).copy_(torch.from_numpy(value))
        conv.eval(), bn.eval()
        is_transposed = isinstance(conv, torch.nn.ConvTranspose2d)
        bias = None if conv.bias is None else conv.bias.detach()
        folded = fn.fold_batch_norm(
            conv.weight.detach(), bias, **statistics(OUT), eps=1e-3, axis=int(is_transposed), groups=conv.groups
        )
        if not is_transposed or conv.groups == 1:  # PyTorch cannot fold the other one
            fused = torch.nn.utils.fusion.fuse_conv_bn_eval(conv, bn, transpose=is_transposed)
            np.testing.assert_allclose(folded.weight, fused.weight.detach(), rtol=1e-6)
            np.testing.assert_allclose(folded.bias, fused.bias.detach(), rtol=1e-5, atol=1e-6)
        x = torch.from_numpy(normal(2, IN, 5, 5))
        expected = bn(conv(x)).detach()
        with torch.no_grad():
            conv.weight.copy_(torch.from_numpy(folded.weight))
            conv.bias = torch.nn.Parameter(torch.from_numpy(folded.bias))
            np.testing.assert_allclose(conv(x), expected, rtol=1e-5, atol=1e-5)


GROUPED = {"axis": 1, "groups": 2}


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"weight": None}, TypeError, "weight must be an array, got None"),
        (
            {"weight": np.ones((OUT, IN), int)},
            TypeError,
            "weight must have dtype float16, bfloat16, float32 or float64, got int64",
        ),
        ({"weight": np.float32(1)}, ValueError, "weight must have one or more dimensions, got weight with shape ()"),
        ({"axis": 2}, ValueError, "axis must be from -2 to 1 for weight with shape (4, 6), got 2"),
        ({"axis": 0.0}, TypeError, "axis must be an integer, got float"),
        ({"groups": 0}, ValueError, "groups must be positive, got 0"),
        ({"groups": 2.0}, TypeError, "groups must be an integer, got float"),
        (
            {"groups": 3},
            ValueError,
            "groups must divide the 4 channels on axis 0 of weight with shape (4, 6), got 3",
        ),
        (
            {"bias": normal(3)},
            ValueError,
            "bias must have shape (4,) to match axis 0 of weight with shape (4, 6), got (3,)",
        ),
        (
            GROUPED,
            ValueError,
            "running_mean must have shape (12,) to match axis 1 of 2 groups of weight with shape (4, 6), got (4,)",
        ),
        ({"running_mean": None}, TypeError, "running_mean must be an array, got None"),
        ({"running_var": None}, TypeError, "running_var must be an array, got None"),
        (
            {"gamma": normal(OUT, dtype=np.float16)},
            TypeError,
            "gamma must have dtype float32 or float64 for weight with dtype float32, got float16",
        ),
        (
            {"beta": normal(1, OUT)},
            ValueError,
            "beta must have shape (4,) to match axis 0 of weight with shape (4, 6), got (1, 4)",
        ),
        (
            {"running_var": np.float32([1, 1, -1e-9, 1])},
            ValueError,
            f"running_var must be finite and >= 0 to be folded, got {float(np.float32(-1e-9))} for channel 2",
        ),
        (
            {"running_var": np.float32([1, np.nan, 1, 1])},
            ValueError,
            "running_var must be finite and >= 0 to be folded, got nan for channel 1",
        ),
        ({"eps": -1.0}, ValueError, "eps must be a finite number >= 0, got -1.0"),
        (
            {"running_mean": np.float32([1, 1, 1, np.inf])},
            ValueError,
            "the folded bias must be finite in float32, got -inf at (3,)",
        ),
        (
            {"weight": np.full((OUT, IN), 60000, np.float16), "gamma": np.float32([1, 10, 1, 1])},
            ValueError,
            "the folded weight must be finite in float16, got inf at (1, 0)",
        ),
    ],
)
def test_errors(changes: Any, error: Any, text: str) -> None:
    ones = np.ones(OUT, np.float32)
    arguments = {"weight": normal(OUT, IN), "bias": None, "running_mean": ones, "running_var": ones, "gamma": ones}
    with pytest.raises(error, match=f"^{re.escape(text)}$"):
        fn.fold_batch_norm(**arguments | changes)
