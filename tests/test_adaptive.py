"""Layers whose scale and shift come with the data."""

import copy
import re
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fastnorm as fn
from fastnorm import nn
from gradcheck import assert_gradients, central_difference

N, C, S = 3, 6, 5
SHAPE = (N, C, S)
LAYERS: dict[str, Any] = {
    "layer": (lambda: nn.AdaLayerNorm(S), (N, S), (N, 1, S)),
    "layer-axes": (lambda: nn.AdaLayerNorm((C, S), 1e-3, offset=0.0), (N, C, S), (N, C, S)),
    "layer-channels": (lambda: nn.AdaLayerNorm(C, axis=1), (N, C), (N, C, 1)),
    "group": (lambda: nn.AdaGroupNorm(3, C), (N, C), (N, C, 1)),
    "group-last": (lambda: nn.AdaGroupNorm(5, S, axis=-1), (N, S), (N, 1, S)),
    "instance": (lambda: nn.AdaInstanceNorm(C), (N, C), (N, C, 1)),
    "instance-last": (lambda: nn.AdaInstanceNorm(S, offset=1.0, axis=-1), (N, S), (N, 1, S)),
}


@pytest.fixture(params=LAYERS)
def case(request: pytest.FixtureRequest) -> Any:
    make, short, long = LAYERS[request.param]
    return make(), short, long


def data(*shape: int, seed: int = 0, dtype: Any = np.float64) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def test_scale_and_shift_are_those_of_the_samples(case: Any) -> None:
    layer, short, long = case
    x, scale, shift = data(*SHAPE), data(*short, seed=1), data(*short, seed=2)
    plain = layer(x, np.full(long, 1 - layer.offset))
    want = plain * (layer.offset + scale.reshape(long)) + shift.reshape(long)
    assert_allclose(layer(x, scale, shift), want, rtol=1e-12, atol=1e-12)
    assert_array_equal(layer(x, scale, shift), layer(x, scale.reshape(long), shift.reshape(long)))
    assert_allclose(layer(x), plain, rtol=1e-12)
    assert_allclose(layer(x, shift=shift), plain + shift.reshape(long), rtol=1e-12, atol=1e-12)


def test_gradients(case: Any) -> None:
    layer, short, long = case
    for shape in (short, long, SHAPE):
        x, dy, scale, shift = data(*SHAPE), data(*SHAPE, seed=1), data(*shape, seed=2), data(*shape, seed=3)
        layer(x, scale, shift)
        gradients = {"x": layer.backward(dy), **layer.gradients()}
        assert list(gradients) == ["x", "scale", "shift"]
        check: Any = {"derivative": central_difference, "tolerance": 1e-8}
        arguments = {"x": x, "scale": scale, "shift": shift}
        assert_gradients(lambda dy=dy, **a: np.sum(dy * layer(**a)), arguments, gradients, **check)


def test_what_is_not_given_has_no_gradient(case: Any) -> None:
    layer, short, _ = case
    x, shift = data(*SHAPE), data(*short)
    layer(x, shift=shift)
    layer.backward(x)
    assert list(layer.gradients()) == ["shift"]
    layer(x)
    layer.backward(x)
    assert layer.gradients() == {}
    assert layer.parameters() == layer.state_dict() == {}


def test_arguments_changed_before_the_backward(case: Any) -> None:
    layer, short, _ = case
    x, dy, scale = data(*SHAPE), data(*SHAPE, seed=1), data(*short, seed=2)
    layer(x, scale)
    want = layer.backward(dy)
    layer(x, scale)
    scale[...] = 7
    assert_array_equal(layer.backward(dy), want)


def test_evaluation_keeps_nothing(case: Any) -> None:
    layer, short, _ = case
    layer.eval()(data(*SHAPE), data(*short))
    with pytest.raises(RuntimeError, match="got one in evaluation"):
        layer.backward(data(*SHAPE))
    layer.eval(keep_inputs=True)(data(*SHAPE), data(*short))
    assert layer.backward(data(*SHAPE)).shape == SHAPE
    assert repr(copy.deepcopy(layer)) == repr(layer)


def test_adain_gives_the_statistics_of_the_style() -> None:
    content, style = data(2, 3, 8, 9), 5 + 3 * data(2, 3, 8, 9, seed=1)
    y = nn.AdaInstanceNorm(3, eps=0.0)(content, style.std(axis=(2, 3)), style.mean(axis=(2, 3)))
    assert_allclose(y.mean(axis=(2, 3)), style.mean(axis=(2, 3)), rtol=1e-12)
    assert_allclose(y.std(axis=(2, 3)), style.std(axis=(2, 3)), rtol=1e-12)


def test_parameters_wider_than_the_data() -> None:
    x, scale = data(2, 4, 8, dtype="f2"), data(2, 8, dtype="f4")
    y = nn.AdaLayerNorm(8)(x, scale)
    assert y.dtype == np.float16
    assert_array_equal(y, fn.layer_norm(x, scale[:, None], offset=1.0))


X = np.ones(SHAPE, "f4")


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: nn.AdaLayerNorm(S)(X, X[:, 0, :3]), ValueError,
         "scale must have shape (3, 5) or one of as many dimensions as x that broadcasts to (3, 6, 5), got (3, 3)"),
        (lambda: nn.AdaGroupNorm(3, C)(X, None, X[:2, :, :1]), ValueError,
         "shift must have shape (3, 6) or one of as many dimensions as x that broadcasts to (3, 6, 5), got (2, 6, 1)"),
        (lambda: nn.AdaGroupNorm(4, C), ValueError, "num_groups must divide the 6 channels, got 4"),
        (lambda: nn.AdaInstanceNorm(C, eps=-1.0), ValueError, "eps must be a finite number >= 0, got -1.0"),
        (lambda: nn.AdaLayerNorm(S).backward(X), RuntimeError,
         "backward must come after a call of the layer, got no call yet"),
    ],
)  # fmt: skip
def test_errors(call: Any, error: type[Exception], text: str | None) -> None:
    with pytest.raises(error, match=None if text is None else f"^{re.escape(text)}$"):
        call()
