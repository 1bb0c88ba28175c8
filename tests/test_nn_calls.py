"""What a call of a layer keeps: what its backward needs, as it was at the call; no data in evaluation or in a file."""

import copy
import gc
import pickle
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from fastnorm import nn

SHAPE = (5, 6, 4, 7)


def data(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


# Layers of float64 data of SHAPE by name; those in TRACKING evaluate with running statistics.
NORMS: dict[str, Callable[[], Any]] = {
    "batch": lambda: nn.BatchNorm(6, dtype="f8"),
    "batch-untracked": lambda: nn.BatchNorm(6, track_running_stats=False, dtype="f8"),
    "layer": lambda: nn.LayerNorm((4, 7), dtype="f8"),
    "rms": lambda: nn.RMSNorm(7, dtype="f8"),
    "group": lambda: nn.GroupNorm(3, 6, dtype="f8"),
    "instance": lambda: nn.InstanceNorm(6, affine=True, dtype="f8"),
    "instance-tracked": lambda: nn.InstanceNorm(6, affine=True, track_running_stats=True, dtype="f8"),
    "whitening": lambda: nn.BatchWhitening(6, eps=0.1, dtype="f8"),
    "whitening-untracked": lambda: nn.BatchWhitening(6, eps=0.1, track_running_stats=False, dtype="f8"),
}
TRACKING = ["batch", "instance-tracked", "whitening"]
WEIGHTS: dict[str, Callable[[], Any]] = {
    "weight-norm": lambda: nn.WeightNorm(data(*SHAPE)),
    "weight-norm-whole": lambda: nn.WeightNorm(data(*SHAPE), axis=None),
    "standardization": lambda: nn.WeightStandardization(data(*SHAPE)),
    "standardization-gain": lambda: nn.WeightStandardization(data(*SHAPE), gain=True),
}
ALL = NORMS | WEIGHTS


def call(layer: Any, x: np.ndarray | None = None) -> Any:
    return (
        layer()
        if isinstance(layer, (nn.WeightNorm, nn.WeightStandardization))
        else layer(data(*SHAPE) if x is None else x)
    )


@pytest.mark.parametrize("mode", ["training", "evaluation"])
@pytest.mark.parametrize("name", ALL)
def test_a_parameter_changed_after_the_call_changes_no_gradient(name: str, mode: str) -> None:
    layer, dy = ALL[name](), data(*SHAPE, seed=1)
    if mode == "evaluation":
        layer.eval(keep_inputs=True)
    call(layer)
    dx, gradients = layer.backward(dy), layer.gradients()
    for array in [
        *layer.parameters().values(),
        getattr(layer, "running_mean", None),
        getattr(layer, "running_var", None),
    ]:
        if array is not None:
            array *= 10.0
            array += 1.0
    assert_array_equal(layer.backward(dy), dx)
    assert gradients.keys() == layer.parameters().keys() == layer.gradients().keys()
    for key, gradient in layer.gradients().items():
        assert_array_equal(gradient, gradients[key], err_msg=key)


def alive_after_a_call(layer: Any) -> bool:
    x = data(*SHAPE)
    layer(x)
    kept = weakref.ref(x)
    del x
    gc.collect()
    return kept() is not None


@pytest.mark.parametrize("name", NORMS)
def test_evaluation_keeps_no_input_unless_asked_to(name: str) -> None:
    layer = NORMS[name]()
    assert alive_after_a_call(layer)
    assert not alive_after_a_call(layer.eval())
    assert alive_after_a_call(layer.eval(keep_inputs=True))
    assert not alive_after_a_call(layer.train(False))
    assert not alive_after_a_call(layer.eval(keep_inputs=True).eval())
    assert alive_after_a_call(layer.train())


@pytest.mark.parametrize("name", [name for name in ALL if name not in TRACKING])
def test_the_backward_of_an_evaluation_says_what_to_do(name: str) -> None:
    layer = ALL[name]()
    call(layer)  # a batch of the training before, which the evaluation forgets
    call(layer.eval())
    text = (
        r"^backward must come after a call that keeps its input, got one in evaluation: use layer\.eval\(keep_inputs="
    )
    with pytest.raises(RuntimeError, match=text):
        layer.backward(data(*SHAPE, seed=1))


@pytest.mark.parametrize("name", TRACKING)
def test_constant_statistics_need_no_input_for_its_gradient(name: str) -> None:
    dy = data(*SHAPE, seed=1)
    layer = NORMS[name]().eval(keep_inputs=True)
    call(layer)
    expected = layer.backward(dy)
    call(layer.eval())
    assert_array_equal(layer.backward(dy), expected)
    with pytest.raises(RuntimeError, match=r"^gradients of parameters need the input of the call: use layer\.eval\("):
        layer.gradients()
    with pytest.raises(ValueError, match=r"^dy must have shape"):
        layer.backward(dy[:2])
    with pytest.raises(TypeError, match=r"^dy must have dtype float64"):
        layer.backward(dy.astype("f4"))
    call(layer.train())
    layer.backward(dy)
    assert layer.gradients().keys() == layer.parameters().keys()


def test_a_layer_without_parameters_has_no_gradients_in_evaluation() -> None:
    layer = nn.BatchNorm(6, affine=False, dtype="f8").eval()
    call(layer)
    layer.backward(data(*SHAPE))
    assert layer.gradients() == {}


def test_keep_inputs_is_a_boolean() -> None:
    layer = nn.LayerNorm(7)
    with pytest.raises(TypeError, match=r"^keep_inputs must be a boolean, got int$"):
        layer.eval(keep_inputs=1)
    assert layer.training


@pytest.mark.parametrize("name", ALL)
def test_files_and_copies_have_the_state_and_nothing_of_the_calls(name: str) -> None:
    fresh, layer = ALL[name](), ALL[name]()
    call(layer)
    layer.backward(data(*SHAPE))
    for used, new in ((layer.train(), fresh.train()), (layer.eval(keep_inputs=True), fresh.eval(keep_inputs=True))):
        assert len(pickle.dumps(used)) <= len(pickle.dumps(new)) + 100
    for twin in (pickle.loads(pickle.dumps(layer)), copy.deepcopy(layer), copy.copy(layer)):
        assert (twin.training, twin.keep_inputs, repr(twin)) == (False, True, repr(layer))
        assert twin.gradients() == {}
        with pytest.raises(RuntimeError, match="got no call yet"):
            twin.backward(data(*SHAPE))
        for key, array in layer.state_dict().items():
            assert_array_equal(twin.state_dict()[key], array)
        assert_array_equal(call(twin), call(layer))


LAYERS: dict[str, Callable[[Any], Any]] = {
    "BatchNorm": lambda dtype: nn.BatchNorm(6, dtype=dtype),
    "LayerNorm": lambda dtype: nn.LayerNorm(6, axis=1, dtype=dtype),
    "RMSNorm": lambda dtype: nn.RMSNorm(6, axis=[1], dtype=dtype),
    "GroupNorm": lambda dtype: nn.GroupNorm(2, 6, dtype=dtype),
    "InstanceNorm": lambda dtype: nn.InstanceNorm(6, affine=True, dtype=dtype),
    "BatchWhitening": lambda dtype: nn.BatchWhitening(6, affine=False, dtype=dtype),
}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", LAYERS)
def test_data_wider_than_the_layer_are_refused_with_its_dtype(name: str, training: bool) -> None:
    text = f'with dtype float32, got float64: pass dtype="float64" to {name}, or convert x'
    layer = LAYERS[name](np.float32).train(training)
    state, x = layer.state_dict(), data(8, 6, 3)
    with pytest.raises(TypeError, match=f"^x must have dtype float16.* for a layer {name} {text}$"):
        layer(x)
    for key, array in layer.state_dict().items():
        assert_array_equal(array, state[key])
    assert LAYERS[name](np.float64).train(training)(x).dtype == np.float64


def test_a_layer_without_arrays_takes_any_data() -> None:
    assert nn.LayerNorm(6, elementwise_affine=False)(data(8, 6)).dtype == np.float64
    layer = nn.LayerNorm(6)
    layer.weight, layer.bias = np.ones(6), np.zeros(6)
    assert layer(data(8, 6)).dtype == np.float64
