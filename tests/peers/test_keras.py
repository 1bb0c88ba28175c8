"""`fastnorm.keras`: layers compute the same with and without, and what fastnorm does not do stays with Keras."""

import os

os.environ.setdefault("KERAS_BACKEND", "numpy")

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("jax", reason="jax is not installed, which Keras' NumPy backend needs")
keras = pytest.importorskip("keras", reason="keras is not installed")
if keras.backend.backend() != "numpy":
    pytest.skip("KERAS_BACKEND is not numpy", allow_module_level=True)
from keras.src.backend.numpy import nn
from keras.src.ops import nn as ops_nn

import fastnorm.keras

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
HOOKED = (
    (nn, "moments"),
    (nn, "batch_normalization"),
    (ops_nn, "_layer_normalization"),
    (ops_nn, "_rms_normalization"),
    (keras.layers.GroupNormalization, "call"),
)
LAYERS = {
    "group": ("GroupNormalization", {"groups": 2}, (2, 5, 4, 6)),
    "group-first": ("GroupNormalization", {"groups": 3, "axis": 1}, (2, 6, 4, 3)),
    "group-each": ("GroupNormalization", {"groups": -1, "scale": False}, (2, 5, 4, 6)),
    "layer": ("LayerNormalization", {}, (3, 4, 6)),
    "layer-axes": ("LayerNormalization", {"axis": [1, 2], "center": False}, (3, 4, 6)),
    "layer-middle": ("LayerNormalization", {"axis": 1}, (3, 4, 6)),
    "rms": ("RMSNormalization", {}, (3, 4, 6)),
    "batch": ("BatchNormalization", {}, (4, 3, 3, 6)),
    "batch-first": ("BatchNormalization", {"axis": 1, "scale": False}, (4, 6, 3)),
}


@pytest.fixture(autouse=True)
def disabled() -> Iterator[None]:
    yield
    fastnorm.keras.disable()


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(1, 2, shape)


def outputs(case: str, dtype: str, **call: Any) -> list[np.ndarray]:
    """The result of a layer, and its variables afterwards."""
    name, options, shape = LAYERS[case]
    layer = getattr(keras.layers, name)(**options, dtype=dtype)
    layer.build(shape)
    layer.set_weights([np.abs(numbers(*v.shape)) + 0.5 if v.shape else v for v in layer.weights])
    y = layer(keras.ops.convert_to_tensor(numbers(*shape), dtype=dtype.rpartition("_")[2]), **call)
    return [np.asarray(y), *layer.get_weights()]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "mixed_bfloat16"])
@pytest.mark.parametrize(("case", "call"), [*((case, {}) for case in LAYERS), ("batch", {"training": True})])
def test_layers_compute_the_same(case: str, call: dict[str, Any], dtype: str) -> None:
    plain = outputs(case, dtype, **call)
    with fastnorm.keras.enable():
        ours = outputs(case, dtype, **call)
    tolerance = {"float16": 2e-3, "bfloat16": 2e-2, "mixed_bfloat16": 2e-2}.get(dtype, 1e-5)
    for a, b in zip(ours, plain, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a.astype(float), b.astype(float), rtol=tolerance, atol=tolerance)


def test_enable_and_disable() -> None:
    before = [getattr(*where) for where in HOOKED]
    fastnorm.keras.enable()
    assert all(getattr(*where).__module__ == "fastnorm.keras" for where in HOOKED)
    with fastnorm.keras.enable():
        pass
    assert nn.moments.__module__ == "fastnorm.keras", "the inner end undoes nothing"
    fastnorm.keras.disable()
    fastnorm.keras.disable()
    assert [getattr(*where) for where in HOOKED] == before


def test_large_means_cost_no_digits() -> None:
    x = (np.random.default_rng(0).normal(size=(64, 32)) + 1e4).astype(np.float32)
    with fastnorm.keras.enable():
        _, variance = keras.ops.moments(x, axes=[0])
    np.testing.assert_allclose(variance, x.astype(np.float64).var(axis=0), rtol=1e-6)


def test_models_build_and_predict() -> None:
    inputs = keras.Input((8, 8, 4))
    y = keras.layers.Conv2D(8, 3)(inputs)
    y = keras.layers.BatchNormalization()(y)
    y = keras.layers.LayerNormalization()(keras.layers.GroupNormalization(2)(y))
    model = keras.Model(inputs, y)
    x = numbers(2, 8, 8, 4).astype(np.float32)
    plain = model.predict(x, verbose=0)
    with fastnorm.keras.enable():
        np.testing.assert_allclose(model.predict(x, verbose=0), plain, atol=1e-4)
        assert keras.layers.GroupNormalization(2)(keras.Input((8, 8, 4))).shape == (None, 8, 8, 4), "symbolic"


def test_what_fastnorm_does_not_do_stays_with_keras() -> None:
    whole, x = np.arange(6).reshape(2, 3), numbers(2, 3)
    calls = (
        lambda: keras.ops.moments(whole, axes=[1]),
        lambda: keras.ops.moments(x, axes=[]),
        lambda: keras.ops.layer_normalization(whole.astype("int32")),
        lambda: ops_nn._layer_normalization(x, np.ones(3), rms_scaling=True),
        lambda: keras.ops.rms_normalization(x, axis=0),
        lambda: keras.ops.rms_normalization(x, np.full(3, 2.0), axis=0),
        lambda: keras.ops.batch_normalization(x.astype("float32"), np.ones(3), np.ones(3), -1),
    )
    plain = [call() for call in calls]
    fastnorm.keras.enable()
    for call, expected in zip(calls, plain, strict=True):
        for a, b in zip(np.atleast_2d(call()), np.atleast_2d(expected), strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    with pytest.raises(NotImplementedError, match="synchronized"):
        nn.moments(x, [0], synchronized=True)


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ops_nn, "_rms_normalization", lambda x, scale, axes: x)
    before = nn.moments
    with pytest.raises(RuntimeError, match=rf"_rms_normalization to take .*Keras {keras.__version__}"):
        fastnorm.keras.enable()
    assert nn.moments is before


def test_another_backend_is_refused() -> None:
    code = "import fastnorm.keras as k\ntry: k.enable()\nexcept RuntimeError as error: print(error)"
    environment = os.environ | {"KERAS_BACKEND": "jax"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert "KERAS_BACKEND must be numpy for fastnorm.keras, got jax" in done.stdout
