"""Layers with state: what they compute, how they train and evaluate, and that their states are PyTorch's."""

import copy
import io
import pickle
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fastnorm as fn
from fastnorm import nn
from gradcheck import assert_gradients, central_difference

SHAPE = (5, 6, 4, 7)


def data(*shape: int, dtype: Any = np.float64, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def randomize(layer: nn.BatchNorm, seed: int = 0) -> Any:
    """Give a layer another state than that it starts with."""
    rng = np.random.default_rng(seed)
    layer.load_state_dict(
        {name: array if array.dtype.kind == "i" else rng.uniform(0.5, 2, array.shape)
         for name, array in layer.state_dict().items()}
    )  # fmt: skip
    return layer


def set_training(layer: Any, training: bool) -> Any:
    """Training, or evaluation that can go back to all gradients."""
    return layer.train() if training else layer.eval(keep_inputs=True)


# Layers of data of SHAPE in float64, by name.
NORMS: dict[str, Callable[[], Any]] = {
    "batch": lambda: nn.BatchNorm(6, dtype="f8"),
    "batch-last": lambda: nn.BatchNorm(7, axis=-1, momentum=None, dtype="f8"),
    "batch-plain": lambda: nn.BatchNorm(6, affine=False, dtype="f8"),
    "batch-untracked": lambda: nn.BatchNorm(6, track_running_stats=False, dtype="f8"),
    "layer": lambda: nn.LayerNorm((4, 7), dtype="f8"),
    "layer-one-axis": lambda: nn.LayerNorm(7, bias=False, dtype="f8"),
    "layer-channels": lambda: nn.LayerNorm(6, axis=1, dtype="f8"),
    "layer-plain": lambda: nn.LayerNorm(7, elementwise_affine=False, dtype="f8"),
    "rms": lambda: nn.RMSNorm((4, 7), dtype="f8"),
    "rms-offset": lambda: nn.RMSNorm(7, offset=1.0, eps=1e-6, dtype="f8"),
    "group": lambda: nn.GroupNorm(3, 6, dtype="f8"),
    "group-last": lambda: nn.GroupNorm(1, 7, axis=-1, bias=False, dtype="f8"),
    "instance": lambda: nn.InstanceNorm(6, dtype="f8"),
    "instance-full": lambda: nn.InstanceNorm(6, affine=True, track_running_stats=True, dtype="f8"),
    "whitening": lambda: nn.BatchWhitening(6, eps=0.1, dtype="f8"),
    "whitening-last": lambda: nn.BatchWhitening(4, axis=2, groups=2, method="cholesky", momentum=None, dtype="f8"),
    "whitening-plain": lambda: nn.BatchWhitening(6, groups=3, method="iternorm", affine=False, dtype="f8"),
    "whitening-untracked": lambda: nn.BatchWhitening(6, track_running_stats=False, dtype="f8"),
}
TRACKING = ["batch", "batch-last", "batch-plain", "instance-full"]


# ---- what they compute -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", NORMS)
def test_gradients(name: str, training: bool) -> None:
    """Of data and parameters, in training and in evaluation, by differences."""
    layer = set_training(randomize(NORMS[name]()), training)
    start = layer.state_dict()
    x, dy = data(*SHAPE), data(*SHAPE, seed=1)
    layer(x)
    dx = layer.backward(dy)

    def loss(x: np.ndarray, **parameters: np.ndarray) -> Any:
        other = NORMS[name]().train(training)
        other.load_state_dict(start | parameters)
        return np.sum(dy * other(x))

    gradients = layer.gradients()
    assert gradients.keys() == layer.parameters().keys()
    arguments = {"x": x, **{key: start[key] for key in gradients}}
    check: Any = {"derivative": central_difference, "tolerance": 1e-8}
    assert_gradients(loss, arguments, {"x": dx, **gradients}, **check)


def test_they_are_the_functions() -> None:
    x = data(*SHAPE)
    layers = {name: randomize(make()) for name, make in NORMS.items()}
    w, b = layers["layer"].weight, layers["layer"].bias
    assert_array_equal(layers["layer"](x), fn.layer_norm(x, w, b, axis=(2, 3)))
    assert_array_equal(
        layers["layer-channels"](x), fn.layer_norm(x, *layers["layer-channels"].parameters().values(), axis=1)
    )
    assert_array_equal(layers["rms-offset"](x), fn.rms_norm(x, layers["rms-offset"].weight, offset=1.0))
    assert_array_equal(layers["rms"](x), fn.rms_norm(x, layers["rms"].weight, axis=(-2, -1), eps=None))
    assert_array_equal(layers["group"](x), fn.group_norm(x, 3, *layers["group"].parameters().values()))
    assert_array_equal(layers["instance"](x), fn.instance_norm(x))
    batch = layers["batch"]
    assert_array_equal(batch(x), fn.batch_norm_forward(x, batch.weight, batch.bias).y)
    expected = fn.batch_norm(x, batch.running_mean, batch.running_var, batch.weight, batch.bias)
    assert_array_equal(batch.eval()(x), expected)
    instance = layers["instance-full"]
    expected = fn.batch_norm(x, instance.running_mean, instance.running_var, instance.weight, instance.bias)
    assert_array_equal(instance.eval()(x), expected)


@pytest.mark.parametrize("method", ["zca", "cholesky", "iternorm"])
def test_batch_whitening_is_the_functions(method: Any) -> None:
    x, dy = data(50, 6), data(50, 6, seed=1)
    form: dict[str, Any] = {"groups": 2, "method": method, "iterations": 4, "eps": 1e-3}
    layer = randomize(nn.BatchWhitening(6, **form, dtype="f8"))
    layer.running_cov[...] = np.cov(x[:, :3].T) + np.eye(3)
    mean, cov = layer.running_mean.copy(), layer.running_cov.copy()
    expected, saved = fn.batch_whitening_forward(x, layer.weight, layer.bias, mean, cov, **form)
    assert_array_equal(layer(x), expected)
    assert_array_equal(layer.running_mean, mean)
    assert_array_equal(layer.running_cov, cov)
    assert layer.num_batches_tracked == 1
    gradients = fn.batch_whitening_backward(dy, x, layer.weight, saved)
    assert_array_equal(layer.backward(dy), gradients.dx)
    assert_array_equal(layer.gradients()["weight"], gradients.dweight)
    layer.eval(keep_inputs=True)
    assert_array_equal(layer(x), fn.batch_whitening(x, mean, cov, layer.weight, layer.bias, **form))
    first = layer.backward(dy)
    layer.running_cov *= 2
    assert_array_equal(layer.backward(dy), first, err_msg="training may go on before the backward")
    assert list(layer.state_dict()) == ["weight", "bias", "running_mean", "running_cov", "num_batches_tracked"]


def test_an_evaluation_of_whitening_without_data() -> None:
    layer = nn.BatchWhitening(4).eval(keep_inputs=True)
    assert layer(np.zeros((0, 4), np.float32)).shape == (0, 4)
    assert layer.backward(np.zeros((0, 4), np.float32)).shape == (0, 4)
    assert_array_equal(layer.gradients()["weight"], np.zeros(4))


def test_they_start_as_plain_normalization() -> None:
    for name, make in NORMS.items():
        layer = make()
        scale = getattr(layer, "offset", 0.0) + (1.0 if layer.weight is None else layer.weight)
        assert_array_equal(scale, np.ones_like(scale), err_msg=name)
        assert layer.training
    assert_array_equal(nn.RMSNorm(3, offset=1.0).weight, 0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_dtype_of_the_data_stays(dtype: str) -> None:
    for layer in (nn.BatchNorm(6, dtype=dtype), nn.LayerNorm((6, 4, 7), dtype=dtype), nn.RMSNorm(7, dtype=dtype)):
        for kind in ("float32", dtype):
            x = data(*SHAPE, dtype=kind)
            assert layer(x).dtype == kind
            assert layer.backward(x).dtype == kind
            assert {gradient.dtype for gradient in layer.gradients().values()} == {np.dtype(dtype)}


def test_parameters_can_be_trained() -> None:
    """Gradient descent through the layer's own arrays finds the scale and the shift of a target."""
    layer = nn.BatchNorm(6, dtype="f8")
    x = data(40, 6)
    target = nn.BatchNorm(6, dtype="f8")(x) * 3 - 2
    for _ in range(60):
        layer.backward((layer(x) - target) / len(x))
        for name, parameter in layer.parameters().items():
            parameter -= 0.3 * layer.gradients()[name]
    assert_allclose(layer.weight, 3, rtol=1e-4)
    assert_allclose(layer.bias, -2, rtol=1e-4)


# ---- training and evaluation -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TRACKING)
def test_running_statistics(name: str) -> None:
    layer = NORMS[name]()
    axes = tuple(a for a in range(4) if a != layer.axis % 4)
    sample = axes[1:] if name == "instance-full" else axes
    mean, var = layer.running_mean.copy(), layer.running_var.copy()
    for step in range(1, 4):
        x = data(*SHAPE, seed=step) + step
        layer(x)
        momentum = 1 / step if layer.momentum is None else layer.momentum
        batch_var = x.var(axis=sample, ddof=1)
        batch_var = batch_var.mean(axis=0) if sample != axes else batch_var
        mean = (1 - momentum) * mean + momentum * x.mean(axis=axes)
        var = (1 - momentum) * var + momentum * batch_var
        assert_allclose(layer.running_mean, mean, rtol=1e-12)
        assert_allclose(layer.running_var, var, rtol=1e-12)
        assert layer.num_batches_tracked == step
    state = layer.eval().state_dict()
    layer(x)
    layer.backward(x)
    for key, array in layer.state_dict().items():
        assert_array_equal(array, state[key])


def test_without_momentum_it_is_the_average_of_all_batches() -> None:
    layer = nn.BatchNorm(6, momentum=None, dtype="f8")
    batches = [data(8, 6, seed=seed) for seed in range(5)]
    for x in batches:
        layer(x)
    assert_allclose(layer.running_mean, np.mean([x.mean(0) for x in batches], axis=0), rtol=1e-12)
    assert_allclose(layer.running_var, np.mean([x.var(0, ddof=1) for x in batches], axis=0), rtol=1e-12)


@pytest.mark.parametrize("name", ["batch-untracked", "instance"])
def test_without_running_statistics_evaluation_is_as_training(name: str) -> None:
    x, dy = data(*SHAPE), data(*SHAPE, seed=1)
    results = []
    for training in (True, False):
        layer = set_training(NORMS[name](), training)
        results.append((layer(x), layer.backward(dy)))
        assert not {"running_mean", "running_var", "num_batches_tracked"} & layer.state_dict().keys()
    assert_array_equal(*results)


def test_training_may_go_on_before_the_backward_of_an_evaluation() -> None:
    x, dy = data(8, 6), data(8, 6, seed=1)
    layer = randomize(nn.BatchNorm(6, dtype="f8")).eval()
    layer(x)
    expected = layer.backward(dy)
    layer.running_mean += 7
    layer.running_var *= 2
    assert_array_equal(layer.backward(dy), expected)


def test_what_fails_or_is_empty_is_not_counted() -> None:
    layer = nn.BatchNorm(6)
    before = layer.state_dict()
    with pytest.raises(ValueError, match="expected more than one value per channel when training"):
        layer(np.ones((1, 6), np.float32))
    assert layer(np.ones((0, 6), np.float32)).shape == (0, 6)
    assert_array_equal(layer.backward(np.ones((0, 6), np.float32)), np.ones((0, 6)))
    assert_array_equal(layer.gradients()["weight"], np.zeros(6))
    for name, array in layer.state_dict().items():
        assert_array_equal(array, before[name])


def test_train_and_eval_return_the_layer() -> None:
    layer = nn.BatchNorm(2)
    assert layer.eval() is layer
    assert not layer.training
    assert layer.train() is layer
    assert layer.training
    assert not layer.train(False).training


def test_gradients_are_those_of_the_latest_backward() -> None:
    layer = nn.LayerNorm(7, dtype="f8")
    assert layer.gradients() == {}
    x, dy = data(*SHAPE), data(*SHAPE, seed=1)
    layer(x)
    layer.backward(dy)
    first = layer.gradients()
    layer.backward(2 * dy)
    for name, gradient in layer.gradients().items():
        assert_allclose(gradient, 2 * first[name], rtol=1e-12)


# ---- states ----------------------------------------------------------------------------------------------------------


def test_keys() -> None:
    full = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    keys = {name: list(make().state_dict()) for name, make in NORMS.items()}
    assert keys["batch"] == keys["instance-full"] == full
    assert keys["batch-plain"] == full[2:]
    assert keys["layer"] == keys["group"] == full[:2]
    assert keys["rms"] == keys["layer-one-axis"] == full[:1]
    assert keys["instance"] == []


@pytest.mark.parametrize("name", NORMS)
def test_a_state_makes_another_layer_the_same(name: str) -> None:
    layer, other = randomize(NORMS[name]()), NORMS[name]()
    x = data(*SHAPE)
    layer(x)
    arrays = dict(other.parameters())
    other.load_state_dict(layer.state_dict())
    assert all(other.parameters()[key] is array for key, array in arrays.items()), "the arrays stay the same ones"
    assert_array_equal(other.eval()(x), layer.eval()(x))
    for clone in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert_array_equal(clone(x), layer(x))


def test_a_state_is_a_copy_and_loading_is_one() -> None:
    layer = nn.BatchNorm(3)
    state = layer.state_dict()
    state["weight"][...] = 7
    assert_array_equal(layer.weight, 1)
    layer.load_state_dict(state)
    state["weight"][...] = 8
    assert_array_equal(layer.weight, 7)


def test_a_state_of_another_dtype_is_converted() -> None:
    layer = nn.BatchNorm(3)
    layer.load_state_dict(nn.BatchNorm(3, dtype="f8").state_dict() | {"weight": np.full(3, 1 / 3)})
    assert layer.weight.dtype == np.float32
    assert_array_equal(layer.weight, np.float32(1 / 3))


def test_an_old_state_has_no_number_of_batches() -> None:
    layer = nn.BatchNorm(3)
    state = {name: array for name, array in layer.state_dict().items() if name != "num_batches_tracked"}
    layer.load_state_dict(state)


STATE_ERRORS: list[tuple[Any, type[Exception], str]] = [
    ({"weight": np.ones(3)}, ValueError, "state must have the keys weight, bias, got weight"),
    ({}, ValueError, "state must have the keys weight, bias, got (none)"),
    (
        {"weight": 0, "bias": 0, "scale": 0},
        ValueError,
        "state must have the keys weight, bias, got weight, bias, scale",
    ),
    ({"weight": np.ones(3), "bias": np.ones(4)}, ValueError, "bias must have shape (3,), got (4,)"),
    ({"weight": np.ones(3), "bias": np.ones(3, complex)}, TypeError, "bias must have a dtype that goes into float32"),
    ({"weight": np.ones(3), "bias": None}, TypeError, "bias must be an array, got None"),
    ([1, 2], TypeError, "state must be a mapping of names to arrays, got list"),
]


@pytest.mark.parametrize(("state", "error", "text"), STATE_ERRORS)
def test_a_state_that_does_not_fit_changes_nothing(state: Any, error: type[Exception], text: str) -> None:
    layer = nn.LayerNorm(3)
    layer.weight[...] = 5
    with pytest.raises(error, match=f"^{re.escape(text)}"):
        layer.load_state_dict(state)
    assert_array_equal(layer.weight, 5)


@pytest.mark.parametrize("path", ["", "encoder.conv."])
@pytest.mark.parametrize("names", [
    ("original0", "original1"), ("weight_g", "weight_v"),
    ("parametrizations.weight.original0", "parametrizations.weight.original1"),
])  # fmt: skip
def test_a_state_of_weight_norm_has_newer_or_older_names(names: tuple[str, str], path: str) -> None:
    v, g = data(3, 4), np.full((3, 1), 2.0)
    layer = nn.WeightNorm(np.ones((3, 4)))
    layer.load_state_dict({path + names[1]: v, path + names[0]: g})
    assert_array_equal(layer.original0, g)
    assert_array_equal(layer.original1, v)


@pytest.mark.parametrize("names", [
    ["weight_g"], ["weight_g", "original0"], ["weight_g", "weight_v", "original1"], ["a.weight_g", "b.weight_v"],
    ["weight_g", "weight_v", "bias"], ["xweight_g", "xweight_v"], ["weight_g", 1],
])  # fmt: skip
def test_other_names_of_weight_norm_are_refused(names: list[Any]) -> None:
    layer = nn.WeightNorm(np.ones((1, 1)))
    text = f"state must have the keys original0, original1, got {', '.join(map(str, names))}"
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        layer.load_state_dict({name: np.full((1, 1), 7.0) for name in names})
    assert layer.original1 == 1


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_a_state_in_bfloat16_goes_through_a_file(dtype: str) -> None:
    """NumPy's files give it back as two bytes each, without a name."""
    pytest.importorskip("ml_dtypes")
    layer = nn.BatchNorm(4, dtype="bfloat16")
    layer.weight[...] = [1.5, -2.0, 0.25, 3.0]
    file = io.BytesIO()
    np.savez(file, **layer.state_dict())
    file.seek(0)
    other = nn.BatchNorm(4, dtype=dtype)
    other.load_state_dict(np.load(file))
    assert_array_equal(other.weight, layer.weight)
    assert other.weight.dtype == dtype


def test_a_state_of_bfloat16_tensors() -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("ml_dtypes")
    peer = torch.nn.LayerNorm(4, dtype=torch.bfloat16)
    with torch.no_grad():
        peer.weight.copy_(torch.tensor([1.5, -2.0, 0.25, 3.0]))
    layer = nn.LayerNorm(4, dtype="bfloat16")
    layer.load_state_dict(peer.state_dict())
    assert_array_equal(layer.weight, [1.5, -2.0, 0.25, 3.0])


# ---- PyTorch ---------------------------------------------------------------------------------------------------------

# The arguments of both, the class here, PyTorch's.
PEERS: dict[str, tuple[str, str, tuple[Any, ...], dict[str, Any]]] = {
    "batch": ("BatchNorm", "BatchNorm2d", (6,), {}),
    "batch-average": ("BatchNorm", "BatchNorm2d", (6,), {"momentum": None, "eps": 1e-3}),
    "batch-plain": ("BatchNorm", "BatchNorm2d", (6, 1e-5, 0.3, False), {}),
    "batch-untracked": ("BatchNorm", "BatchNorm2d", (6,), {"track_running_stats": False}),
    "layer": ("LayerNorm", "LayerNorm", ((4, 7),), {}),
    "layer-one-axis": ("LayerNorm", "LayerNorm", (7, 1e-3), {}),
    "layer-no-bias": ("LayerNorm", "LayerNorm", (7,), {"bias": False}),
    "layer-plain": ("LayerNorm", "LayerNorm", ([6, 4, 7],), {"elementwise_affine": False}),
    "group": ("GroupNorm", "GroupNorm", (3, 6), {}),
    "group-plain": ("GroupNorm", "GroupNorm", (2, 6, 1e-3, False), {}),
    "instance": ("InstanceNorm", "InstanceNorm2d", (6,), {}),
    "instance-full": ("InstanceNorm", "InstanceNorm2d", (6, 1e-5, 0.2, True, True), {}),
    "rms": ("RMSNorm", "RMSNorm", ((4, 7),), {}),
    "rms-eps": ("RMSNorm", "RMSNorm", (7, 1e-6), {}),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", PEERS)
def test_the_torch_layer_of_the_same_state_does_the_same(name: str, dtype: str) -> None:
    torch = pytest.importorskip("torch")
    ours, theirs, arguments, keywords = PEERS[name]
    peer = getattr(torch.nn, theirs)(*arguments, **keywords, dtype=getattr(torch, dtype))
    with torch.no_grad():
        for key, tensor in peer.state_dict().items():
            if tensor.is_floating_point():
                tensor.copy_(torch.from_numpy(np.random.default_rng(len(key)).uniform(0.5, 2, tensor.shape)))
    layer = getattr(nn, ours)(*arguments, **keywords, dtype=dtype)
    layer.load_state_dict(peer.state_dict())
    tolerance = {"rtol": 200 * np.finfo(dtype).eps, "atol": 50 * np.finfo(dtype).eps}

    for step, training in enumerate([True, True, True, False]):
        set_training(layer, training), peer.train(training)
        x, dy = 1 + data(*SHAPE, dtype=dtype, seed=step), data(*SHAPE, dtype=dtype, seed=step + 9)
        tensor = torch.tensor(x, requires_grad=True)
        y = peer(tensor)
        peer.zero_grad()
        y.backward(torch.from_numpy(dy))
        assert_allclose(layer(x), y.detach(), **tolerance)
        assert_allclose(layer.backward(dy), tensor.grad, **tolerance)
        assert layer.gradients().keys() == dict(peer.named_parameters()).keys()
        for key, parameter in peer.named_parameters():
            assert_allclose(layer.gradients()[key], parameter.grad, rtol=tolerance["rtol"], atol=5 * tolerance["atol"])
        state = layer.state_dict()
        assert list(state) == list(peer.state_dict())
        for key, tensor in peer.state_dict().items():
            if not (ours == "InstanceNorm" and key == "num_batches_tracked"):  # which PyTorch leaves at 0
                assert_allclose(state[key], tensor, **tolerance)
    peer.load_state_dict({key: torch.from_numpy(array) for key, array in layer.state_dict().items()})
    assert_allclose(layer(x), peer(torch.from_numpy(x)).detach(), **tolerance)


@pytest.mark.parametrize(("dim", "axis"), [(0, 0), (1, 1), (None, None)])
def test_the_torch_weight_norm_of_the_same_state_does_the_same(dim: int | None, axis: int | None) -> None:
    torch = pytest.importorskip("torch")
    peer = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(5, 4, dtype=torch.float64), dim=dim)
    layer = nn.WeightNorm(data(4, 5), axis=axis)
    layer.load_state_dict(peer.parametrizations.weight.state_dict())
    assert_allclose(layer(), peer.weight.detach(), rtol=1e-13)
    x, dy = data(7, 5), data(7, 4, seed=1)
    peer(torch.from_numpy(x)).backward(torch.from_numpy(dy))
    layer.backward(dy.T @ x)
    for key, parameter in peer.parametrizations.weight.named_parameters():
        assert_allclose(layer.gradients()[key], parameter.grad, rtol=1e-12, atol=1e-14)
    peer.parametrizations.weight.load_state_dict({k: torch.from_numpy(a) for k, a in layer.state_dict().items()})


# ---- weights ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, -1, None])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_weight_norm_of_16_bits_starts_with_exactly_the_given_weights(axis: int | None, dtype: str) -> None:
    pytest.importorskip("ml_dtypes")
    w = data(40, 30, 50).astype(dtype)
    layer = nn.WeightNorm(w, axis=axis)
    assert (layer.original0.dtype, layer.original1.dtype, layer().dtype) == (np.float32, w.dtype, w.dtype)
    assert_array_equal(layer(), w)
    layer.load_state_dict(layer.state_dict())
    assert_array_equal(layer(), w)


def test_a_weight_norm_of_float16_may_have_a_length_beyond_it() -> None:
    w = np.full((2, 500_000), 100, np.float16)
    layer = nn.WeightNorm(w)
    assert_allclose(layer.original0, 100 * np.sqrt(5e5), rtol=1e-6)
    assert_array_equal(layer(), w)
    layer.backward(np.ones_like(w))
    assert_allclose(layer.gradients()["original0"], np.sqrt(5e5), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("axis", [0, -1, None])
def test_weight_norm_starts_with_the_given_weights(axis: int | None, dtype: str) -> None:
    w = data(4, 3, 5, dtype=dtype)
    layer = nn.WeightNorm(w, axis=axis)
    assert layer.shape == (4, 3, 5)
    assert_allclose(layer(), w, rtol=8 * np.finfo(dtype).eps)
    assert layer().dtype == layer.original0.dtype == dtype
    layer.original1 *= 2
    assert_allclose(layer(), w, rtol=8 * np.finfo(dtype).eps)
    layer.original0 *= 2
    assert_allclose(layer(), 2 * w, rtol=8 * np.finfo(dtype).eps)


@pytest.mark.parametrize("axis", [0, -1, None])
def test_weight_norm_gradients(axis: int | None) -> None:
    w, dw = data(4, 3, 5), data(4, 3, 5, seed=1)
    layer = nn.WeightNorm(w, axis=axis, eps=0.1)
    layer()
    assert layer.backward(dw) is layer.gradients()["original1"]

    def loss(**state: np.ndarray) -> Any:
        other = nn.WeightNorm(w, axis=axis, eps=0.1)
        other.load_state_dict(state)
        return np.sum(dw * other())

    check: Any = {"derivative": central_difference, "tolerance": 1e-9}
    assert_gradients(loss, layer.state_dict(), layer.gradients(), **check)


@pytest.mark.parametrize("gain", [False, True])
@pytest.mark.parametrize("mode", ["var", "std_unbiased", "std_biased", "max"])
def test_weight_standardization(mode: Any, gain: bool) -> None:
    w, dw = data(3, 5, 4), data(3, 5, 4, seed=1)
    form: dict[str, Any] = {"axis": -1, "mode": mode, "scale": 0.7}
    layer = nn.WeightStandardization(w, gain, **form)
    assert list(layer.state_dict()) == ["weight", "gain"][: 1 + gain]
    assert layer.parameters().keys() == layer.state_dict().keys()
    assert_array_equal(layer(), fn.weight_standardization(w, **form))
    assert layer.backward(dw) is layer.gradients()["weight"]

    def loss(**state: np.ndarray) -> Any:
        other = nn.WeightStandardization(w, gain, **form)
        other.load_state_dict(state)
        return np.sum(dw * other())

    check: Any = {"derivative": central_difference, "tolerance": 1e-9}
    assert_gradients(loss, layer.state_dict(), layer.gradients(), **check)


def test_weights_are_the_layers_own() -> None:
    w = data(4, 3)
    for layer in (nn.WeightNorm(w), nn.WeightStandardization(w)):
        before = layer()
        w *= 3
        assert_array_equal(layer(), before)


# ---- errors ----------------------------------------------------------------------------------------------------------

CONSTRUCTION: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: nn.BatchNorm(0), ValueError, "num_features must be at least 1, got 0"),
    (lambda: nn.BatchNorm(2.0), TypeError, "num_features must be an integer, got float"),
    (lambda: nn.BatchNorm(2, eps=-1), ValueError, "eps must be a finite number >= 0, got -1.0"),
    (lambda: nn.BatchNorm(2, momentum=2), ValueError, "momentum must be a number from 0 to 1, got 2.0"),
    (lambda: nn.BatchNorm(2, affine=1), TypeError, "affine must be a boolean, got int"),
    (lambda: nn.BatchNorm(2, track_running_stats=None), TypeError, "track_running_stats must be a boolean"),
    (lambda: nn.BatchNorm(2, dtype=int), TypeError, "dtype must be float"),
    (lambda: nn.GroupNorm(4, 6), ValueError, "num_groups must divide the 6 channels, got 4"),
    (lambda: nn.BatchWhitening(6, groups=4), ValueError, "groups must divide the 6 channels, got 4"),
    (lambda: nn.BatchWhitening(6, method="pca"), ValueError, "method must be one of 'zca', 'cholesky', 'iternorm'"),
    (lambda: nn.LayerNorm(()), ValueError, "normalized_shape must have one length or more, got none"),
    (lambda: nn.LayerNorm((3, True)), TypeError, "normalized_shape must be an integer, got bool"),
    (lambda: nn.LayerNorm(3, elementwise_affine=0), TypeError, "elementwise_affine must be a boolean, got int"),
    (lambda: nn.RMSNorm(3, offset=np.inf), ValueError, "offset must be a finite number, got inf"),
    (lambda: nn.WeightNorm([1, 2]), TypeError, "weight must have dtype float"),
    (
        lambda: nn.WeightNorm(np.ones((2, 3)), axis=2),
        ValueError,
        "axis must be from -2 to 1 for weight with shape (2, 3)",
    ),
    (lambda: nn.WeightStandardization(np.ones((2, 3)), gain=1), TypeError, "gain must be a boolean, got int"),
    (lambda: nn.BatchNorm(2).backward(np.ones((2, 2))), RuntimeError, "backward must come after a call of the layer"),
    (lambda: nn.WeightNorm(np.ones(2)).backward(np.ones(2)), RuntimeError, "backward must come after a call"),
]
CALLS: list[tuple[Callable[[], Any], Any, type[Exception], str]] = [
    (lambda: nn.BatchNorm(5), SHAPE, ValueError, "x must have 5 channels along axis 1, got x with shape (5, 6, 4, 7)"),
    (lambda: nn.BatchNorm(5, affine=False, track_running_stats=False), SHAPE, ValueError, "x must have 5 channels"),
    (
        lambda: nn.BatchNorm(6, axis=4),
        SHAPE,
        ValueError,
        "axis must be from -4 to 3 for x with shape (5, 6, 4, 7), got 4",
    ),
    (lambda: nn.BatchNorm(6), (6,), ValueError, "x must have two or more dimensions, got x with shape (6,)"),
    (lambda: nn.GroupNorm(1, 5), SHAPE, ValueError, "x must have 5 channels along axis 1"),
    (lambda: nn.InstanceNorm(5, axis=0), SHAPE, ValueError, "axis must not be 0, the sample axis of x"),
    (lambda: nn.LayerNorm((3, 4)), SHAPE, ValueError, "x must have the lengths (3, 4) along axes (-2, -1), got x with"),
    (lambda: nn.LayerNorm((3, 4)), (4,), ValueError, "x must have the lengths (3, 4) along axes (-2, -1), got x with"),
    (
        lambda: nn.RMSNorm(4, elementwise_affine=False),
        SHAPE,
        ValueError,
        "x must have the lengths (4,) along axes (-1,)",
    ),
]


@pytest.mark.parametrize(("make", "error", "text"), CONSTRUCTION)
def test_arguments_that_do_not_fit(make: Callable[[], Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(text)}") as info:
        make()
    assert type(info.value) is error


@pytest.mark.parametrize(("make", "shape", "error", "text"), CALLS)
def test_data_that_do_not_fit(make: Callable[[], Any], shape: Any, error: type[Exception], text: str) -> None:
    layer = make()
    before = layer.state_dict()
    with pytest.raises(error, match=f"^{re.escape(text)}") as info:
        layer(np.ones(shape, np.float32))
    assert type(info.value) is error
    for name, array in layer.state_dict().items():
        assert_array_equal(array, before[name])


def test_representation() -> None:
    expected = "BatchNorm(num_features=6, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True, axis=1)"
    assert repr(nn.BatchNorm(6)) == expected
    assert repr(nn.WeightNorm(np.ones((2, 3)))) == "WeightNorm(shape=(2, 3), axis=0, groups=1, eps=0.0)"
