"""The reference's normalizations: forward against NumPy and each other, gradients against complex steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from fastnorm import reference as ref
from gradcheck import assert_gradients, central_difference

ACTIVATIONS = [None, "relu", "silu", "gelu", "gelu_tanh"]

# Operation, shape of x, arguments, axes of x that weight and bias vary along.
CASES: dict[str, tuple[str, tuple[int, ...], dict[str, Any], tuple[int, ...]]] = {
    "batch NC": ("batch_norm", (7, 3), {}, (1,)),
    "batch NCHW": ("batch_norm", (3, 4, 2, 3), {}, (1,)),
    "batch NHWC": ("batch_norm", (3, 2, 3, 4), {"axis": -1}, (3,)),
    "batch first": ("batch_norm", (3, 5, 2), {"axis": 0, "eps": 0.3}, (0,)),
    "layer": ("layer_norm", (4, 6), {}, (1,)),
    "layer two axes": ("layer_norm", (4, 2, 5), {"axis": (-1, 1), "eps": 0.1}, (1, 2)),
    "layer apart": ("layer_norm", (3, 4, 5), {"axis": (0, 2)}, (0, 2)),
    "layer one value": ("layer_norm", (4, 1), {}, (1,)),
    "layer pairs": ("layer_norm", (4, 2), {}, (1,)),
    "rms": ("rms_norm", (4, 6), {}, (1,)),
    "rms offset": ("rms_norm", (2, 3, 4), {"offset": 1.0, "eps": 0.2}, (2,)),
    "rms two axes": ("rms_norm", (3, 2, 4), {"axis": (0, 1)}, (0, 1)),
    "group": ("group_norm", (2, 6, 4), {"num_groups": 3}, (1,)),
    "group all": ("group_norm", (3, 4, 2, 2), {"num_groups": 1}, (1,)),
    "group last": ("group_norm", (2, 3, 2, 6), {"num_groups": 2, "axis": -1, "eps": 0.1}, (3,)),
    "group middle": ("group_norm", (2, 3, 4, 2), {"num_groups": 2, "axis": 2}, (2,)),
    "instance": ("instance_norm", (3, 4, 5), {}, (1,)),
    "instance last": ("instance_norm", (2, 3, 2, 4), {"axis": 3}, (3,)),
}
each_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


def data(shape: tuple[int, ...], axes: tuple[int, ...], seed: int = 0) -> dict[str, Any]:
    """Random x, weight, bias; x off zero."""
    rng = np.random.default_rng(seed)
    parameters = tuple(shape[a] for a in axes)
    return {
        "x": 1.5 * rng.standard_normal(shape) + 0.5,
        "weight": rng.uniform(0.5, 1.5, parameters),
        "bias": rng.standard_normal(parameters),
    }


def forward(op: str, arguments: dict[str, Any], **options: Any) -> Any:
    return getattr(ref, f"{op}_forward")(**arguments, **options)


def backward(op: str, dy: Any, arguments: dict[str, Any], result: Any, **options: Any) -> ref.Gradients:
    saved = {name: getattr(result, name) for name in ("mean", "rstd") if hasattr(result, name)}
    options = {name: value for name, value in options.items() if name != "eps"}
    arguments = {name: value for name, value in arguments.items() if name in ("x", "weight", "bias")}
    gradients = getattr(ref, f"{op}_backward")(dy, **{"weight": None} | arguments, **saved, **options)
    assert isinstance(gradients, ref.Gradients)
    return gradients


def spread(p: Any, shape: tuple[int, ...], axes: tuple[int, ...]) -> Any:
    """A parameter, to broadcast against x."""
    return np.reshape(p, [n if a in axes else 1 for a, n in enumerate(shape)])


@each_case
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients(case: Any, activation: str | None) -> None:
    op, shape, options, axes = case
    arguments = data(shape, axes)
    dy = np.random.default_rng(1).standard_normal(shape)
    result = forward(op, arguments, activation=activation, **options)
    g = backward(op, dy, arguments, result, activation=activation, **options)

    def loss(**a: Any) -> Any:
        return np.sum(dy * forward(op, a, activation=activation, **options).y)

    assert_gradients(loss, arguments, {"x": g.dx, "weight": g.dweight, "bias": g.dbias})


@each_case
def test_gradients_by_differences(case: Any) -> None:
    op, shape, options, axes = case
    arguments = data(shape, axes)
    options = {**options, "eps": 0.1}  # smooth enough for differences also where a group has two values
    dy = np.random.default_rng(1).standard_normal(shape)
    g = backward(op, dy, arguments, forward(op, arguments, **options), **options)

    def loss(**a: Any) -> Any:
        return np.sum(dy * forward(op, a, **options).y)

    expected = {"x": g.dx, "weight": g.dweight, "bias": g.dbias}
    assert_gradients(loss, arguments, expected, derivative=central_difference, tolerance=1e-9, directions=1)


@each_case
@pytest.mark.parametrize("activation", [None, "silu"])
def test_gradients_under_mask(case: Any, activation: str | None) -> None:
    op, shape, options, axes = case
    arguments, rng = data(shape, axes), np.random.default_rng(1)
    dy, where = rng.standard_normal(shape), rng.random(shape) < 0.7
    options = {**options, "where": where, "activation": activation}
    result = forward(op, arguments, **options)
    g = backward(op, dy, arguments, result, **options)

    def inside(**a: Any) -> Any:
        return np.sum((dy * forward(op, a, **options).y)[where])

    def everywhere(**a: Any) -> Any:
        return np.sum(dy * forward(op, a, **options).y)

    expected = {"x": np.where(where, g.dx, 0), "weight": g.dweight, "bias": g.dbias}
    assert_gradients(inside, arguments, expected, support={"x": where})
    assert_gradients(everywhere, arguments, {"x": np.where(where, 0, g.dx)}, support={"x": ~where})


@each_case
def test_mask_leaves_out(case: Any) -> None:
    """What is masked may be anything, NaN too; without it come the statistics of the rest."""
    op, shape, options, axes = case
    arguments, rng = data(shape, axes), np.random.default_rng(1)
    dy, where = rng.standard_normal(shape), rng.random(shape) < 0.7
    clean = forward(op, arguments, where=where, **options)
    clean_gradients = backward(op, dy, arguments, clean, where=where, **options)
    dirty_arguments = {**arguments, "x": np.where(where, arguments["x"], np.nan)}
    dirty = forward(op, dirty_arguments, where=where, **options)
    gradients = backward(op, np.where(where, dy, np.nan), dirty_arguments, dirty, where=where, **options)
    assert_array_equal(dirty.y[where], clean.y[where])
    assert_array_equal(gradients.dx[where], clean_gradients.dx[where])
    for a, b in [(dirty[1:], clean[1:]), (gradients[1:], clean_gradients[1:])]:
        for one, other in zip(a, b, strict=True):
            assert_array_equal(one, other)
    everything = forward(op, arguments, where=np.True_, **options)
    assert_array_equal(everything.y, forward(op, arguments, **options).y)


@each_case
def test_mask_of_everything(case: Any) -> None:
    op, shape, options, axes = case
    arguments = data(shape, axes)
    result = forward(op, arguments, where=np.False_, **options)
    assert_array_equal(result.y, np.broadcast_to(spread(arguments["bias"], shape, axes), shape))
    for statistic in result[1:]:
        assert not statistic.any()
    for gradient in backward(op, np.ones(shape), arguments, result, where=np.False_, **options):
        assert not gradient.any()


@each_case
def test_absent_parameters(case: Any) -> None:
    """None is ones and zeros, with their gradients; grad_mask leaves gradients out; out is filled and returned."""
    op, shape, options, axes = case
    arguments, rng = data(shape, axes), np.random.default_rng(1)
    x, dy = arguments["x"], rng.standard_normal(shape)
    ones = {**arguments, "weight": np.ones_like(arguments["weight"]), "bias": np.zeros_like(arguments["bias"])}
    explicit, implicit = forward(op, ones, **options), forward(op, {"x": x}, **options)
    expected, got = backward(op, dy, ones, explicit, **options), backward(op, dy, {"x": x}, implicit, **options)
    for a, b in zip((*explicit, *expected), (*implicit, *got), strict=True):
        assert_array_equal(a, b)
    for mask in np.ndindex(2, 2, 2):
        some = backward(op, dy, ones, explicit, grad_mask=tuple(map(bool, mask)), **options)
        for kept, a, b in zip(mask, some, expected, strict=True):
            if kept:
                assert_array_equal(a, b)
            else:
                assert a is None
    out = np.empty_like(x)
    assert forward(op, arguments, out=out, **options).y is out
    assert_array_equal(out, forward(op, arguments, **options).y)


@each_case
def test_inference_is_forward(case: Any) -> None:
    op, shape, options, axes = case
    arguments = data(shape, axes)
    result = forward(op, arguments, activation="silu", **options)
    if op == "batch_norm":
        eps = options.get("eps", 1e-5)
        arguments |= {"running_mean": result.mean, "running_var": result.rstd**-2 - eps}
    y = getattr(ref, op)(**arguments, activation="silu", **options)
    assert_allclose(y, result.y, rtol=1e-12, atol=1e-12)


@each_case
def test_shapes_and_facts(case: Any) -> None:
    """Shapes of the statistics as documented, moments of the output 0 and 1."""
    op, shape, options, axes = case
    x = data(shape, axes)["x"]
    result = forward(op, {"x": x}, **{**options, "eps": 0.0})
    channel = shape[axes[0]]
    kept = tuple(1 if a in axes else n for a, n in enumerate(shape))
    groups = options.get("num_groups", channel)
    expected = {"batch_norm": (channel,), "layer_norm": kept, "rms_norm": kept}.get(op, (shape[0], groups))
    assert all(s.shape == expected for s in result[1:])
    if op == "rms_norm":
        assert_allclose(np.mean(result.y**2, axis=axes), (1 + options.get("offset", 0)) ** 2)
    elif op in ("batch_norm", "layer_norm"):
        over = axes if op == "layer_norm" else tuple(a for a in range(len(shape)) if a not in axes)
        assert_allclose(np.mean(result.y, axis=over), 0, atol=1e-14)
        assert_allclose(result.mean.ravel(), np.mean(x, axis=over).ravel(), rtol=1e-13)
        assert_allclose(np.var(result.y, axis=over), 0 if x.shape[-1] == 1 else 1)


def test_group_norm_is_the_others() -> None:
    x, weight, bias = data((3, 4, 2, 5), (1,)).values()
    wide = [np.broadcast_to(p[:, None, None], (4, 2, 5)) for p in (weight, bias)]
    assert_allclose(ref.group_norm(x, 1, weight, bias), ref.layer_norm(x, *wide, axis=(1, 2, 3)), rtol=1e-12)
    assert_array_equal(ref.group_norm(x, 4, weight, bias), ref.instance_norm(x, weight, bias))
    moved = ref.group_norm(np.moveaxis(x, 1, -1), 2, weight, bias, axis=-1)
    assert_allclose(np.moveaxis(moved, -1, 1), ref.group_norm(x, 2, weight, bias), rtol=1e-12)
    flat = ref.batch_norm_forward(x.reshape(1, 12, 2, 5)).y.reshape(x.shape)
    assert_allclose(flat, ref.instance_norm(x), rtol=1e-12)
    assert_allclose(x * ref.rms_norm_forward(x, eps=0.5).rstd * 3, ref.rms_norm(x, np.full(5, 2.0), eps=0.5, offset=1))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_evaluation_gradients(activation: Any) -> None:
    arguments = data((5, 3, 2), (1,))
    mean, var, dy = np.array([0.1, 2.0, -1.0]), np.array([0.5, 1.0, 4.0]), np.random.default_rng(1).random((5, 3, 2))

    def loss(**a: Any) -> Any:
        return np.sum(dy * ref.batch_norm(running_mean=mean, running_var=var, activation=activation, **a))

    rstd = 1 / np.sqrt(var + 1e-5)
    g = ref.batch_norm_backward(dy, **arguments, mean=mean, rstd=rstd, training=False, activation=activation)
    assert_gradients(loss, arguments, {"x": g.dx, "weight": g.dweight, "bias": g.dbias})


@pytest.mark.parametrize("activation", [None, "gelu"])
@pytest.mark.parametrize("op", ["layer_norm", "rms_norm"])
def test_residual_gradients(op: str, activation: Any) -> None:
    """Both outputs have a gradient, and it is the same for both inputs."""
    arguments, rng = data((4, 6), (1,)), np.random.default_rng(1)
    residual, dy, dh = rng.standard_normal((3, 4, 6))
    if op == "rms_norm":
        del arguments["bias"]
    arguments["residual"] = residual
    op = f"add_{op}"

    def loss(**a: Any) -> Any:
        result = getattr(ref, op)(**a, activation=activation)
        return np.sum(dy * result.y + dh * result.h)

    result = forward(op, arguments, activation=activation)
    assert_array_equal(result.h, arguments["x"] + residual)
    saved = {"h": result.h, "rstd": result.rstd} | ({"mean": result.mean} if "mean" in result._fields else {})
    parameters = {name: arguments[name] for name in ("weight", "bias") if name in arguments}
    g = getattr(ref, f"{op}_backward")(dy, dh, **saved, **parameters, activation=activation)
    expected = {"x": g.dx, "residual": g.dx, "weight": g.dweight}
    assert_gradients(loss, arguments, expected | ({"bias": g.dbias} if "bias" in parameters else {}))
    without = getattr(ref, f"{op}_backward")(dy, None, **saved, **parameters, activation=activation)
    assert_allclose(without.dx + dh, g.dx, rtol=1e-13)
