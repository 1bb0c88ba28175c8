"""The reference's normalizations: forward against NumPy and each other, gradients against complex steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gradcheck import assert_gradients, central_difference
from numpy.testing import assert_allclose, assert_array_equal

from fastnorm import reference as ref

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


@pytest.mark.parametrize("axis", [1, -1])
@pytest.mark.parametrize("ddof", [0, 1])
def test_running_statistics(axis: int, ddof: int) -> None:
    x = data((4, 3, 5), (1,))["x"]
    channels = x.shape[axis]
    over = tuple(a for a in range(3) if a != axis % 3)
    for op, mean, var in [
        ("batch_norm", x.mean(over), x.var(over, ddof=ddof)),
        ("instance_norm", x.mean(over), x.var(over[1], ddof=ddof).mean(0)),
    ]:
        buffers = np.full(channels, 2.0, np.float32), np.full(channels, 3.0)
        forward(op, {"x": x}, running_mean=buffers[0], running_var=buffers[1], axis=axis, momentum=0.25, ddof=ddof)
        assert_allclose(buffers[0], 1.5 + 0.25 * mean, rtol=1e-6)
        assert_allclose(buffers[1], 2.25 + 0.25 * var, rtol=1e-13)
        forward(op, {"x": x}, running_mean=buffers[0], running_var=buffers[1], axis=axis, where=np.False_)
        assert_allclose(buffers[0], 1.5 + 0.25 * mean, rtol=1e-6)
        assert_allclose(buffers[1], 2.25 + 0.25 * var, rtol=1e-13)


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


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32"])
def test_residual_is_rounded(name: str) -> None:
    dtype = np.dtype(pytest.importorskip("ml_dtypes").bfloat16 if name == "bfloat16" else name)
    x, residual = np.random.default_rng(0).standard_normal((2, 50, 7)).astype(dtype)
    y, h = ref.add_layer_norm(x, residual)
    assert h.dtype == dtype
    assert y.dtype == np.float64
    assert_array_equal(h, x + residual)
    assert_array_equal(y, ref.layer_norm(h))
    assert_array_equal(ref.add_rms_norm(x, residual).y, ref.rms_norm(h))


def test_parts_of_a_batch() -> None:
    """Moments, sums and gradients of parts, one of them empty, are those of the whole."""
    x, weight, _ = data((13, 3, 2), (1,)).values()
    dy = np.random.default_rng(1).standard_normal(x.shape)
    whole = ref.batch_norm_forward(x, weight)
    expected = ref.batch_norm_backward(dy, x, weight, whole.mean, whole.rstd)
    parts = [slice(0, 5), slice(5, 5), slice(5, 13)]
    merged = ref.merge_moments([ref.moments(x[p], axis=(0, 2)) for p in parts])
    assert_array_equal(merged.count, 26)
    assert_allclose(merged.mean, whole.mean, rtol=1e-14)
    assert_allclose(merged.m2 / merged.count, x.var((0, 2)), rtol=1e-14)
    sums = [ref.batch_norm_backward_reduce(dy[p], x[p], whole.mean, whole.rstd) for p in parts]
    sum_dy, sum_dy_xhat = (sum(s) for s in zip(*sums, strict=True))
    assert_allclose(sum_dy, expected.dbias, rtol=1e-12)
    assert_allclose(sum_dy_xhat, expected.dweight, rtol=1e-12)
    apply = [
        ref.batch_norm_backward_apply(dy[p], x[p], weight, whole.mean, whole.rstd, sum_dy, sum_dy_xhat, merged.count)
        for p in parts
    ]
    assert_allclose(np.concatenate(apply), expected.dx, atol=1e-14)


@pytest.mark.parametrize("keepdims", [False, True])
def test_moments(keepdims: bool) -> None:
    x, where = data((4, 5, 3), (1,))["x"], np.random.default_rng(1).random((4, 5, 3)) < 0.5
    for axis in (None, 1, (0, -1)):
        got = ref.moments(x, axis=axis, keepdims=keepdims, where=where)
        assert_array_equal(got.count, np.sum(where, axis=axis, keepdims=keepdims))
        assert_allclose(got.mean, np.mean(x, axis=axis, keepdims=keepdims, where=where))
        assert_allclose(got.m2 / got.count, np.var(x, axis=axis, keepdims=keepdims, where=where), atol=1e-15)
    nothing = ref.moments(np.empty((0, 3)), axis=0)
    assert not any(a.any() for a in nothing)
    assert_array_equal(ref.merge_moments([nothing, ref.moments(x[0], axis=0)]).mean, ref.moments(x[0], axis=0).mean)


@pytest.mark.parametrize("axis", [0, 1])
def test_folding(axis: int) -> None:
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((6, 4)), rng.standard_normal((3, 4))
    bias, mean, gamma, beta = rng.standard_normal((4, 3))
    var = rng.random(3)
    expected = ref.batch_norm(x @ weight.T + bias, mean, var, gamma, beta)
    folded = ref.fold_batch_norm(weight if axis == 0 else weight.T, bias, mean, var, gamma, beta, axis=axis)
    assert_allclose(x @ (folded.weight.T if axis == 0 else folded.weight) + folded.bias, expected, rtol=1e-12)
    plain = ref.fold_batch_norm(weight, None, mean, var)
    assert_allclose(x @ plain.weight.T + plain.bias, ref.batch_norm(x @ weight.T, mean, var), rtol=1e-12)


def test_constant_groups() -> None:
    x = np.array([[1234.0], [0.1], [-3e38], [0.0]]).repeat(4099, 1)
    y, mean, rstd = ref.layer_norm_forward(x, bias=np.linspace(0, 1, 4099), eps=0.0)
    assert_array_equal(mean, x[:, :1])
    assert_array_equal(rstd, 0)
    assert_array_equal(y, np.linspace(0, 1, 4099)[None].repeat(4, 0))
    assert not ref.layer_norm_backward(x, x, None, mean, rstd).dx.any()
    assert_array_equal(ref.rms_norm(np.zeros((2, 3)), eps=0.0), 0)


def test_large_means_cost_nothing() -> None:
    """The output does not depend on the mean, as long as the data represent it exactly."""
    x = np.round(np.random.default_rng(0).standard_normal((3, 1000)) * 2**10) / 2**10
    far = ref.layer_norm_forward(x + 2.0**40)
    near = ref.layer_norm_forward(x)
    assert_allclose(far.y, near.y, rtol=1e-13, atol=1e-14)
    dy = np.random.default_rng(1).standard_normal(x.shape)
    one, other = (ref.layer_norm_backward(dy, a, None, r.mean, r.rstd).dx for a, r in ((x + 2.0**40, far), (x, near)))
    assert_allclose(one, other, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_special_values(bad: float) -> None:
    x = np.random.default_rng(0).standard_normal((3, 5))
    clean = ref.layer_norm(x)
    x[1, 2] = bad
    y, mean, rstd = ref.layer_norm_forward(x)
    assert_array_equal(y[::2], clean[::2])
    assert np.isnan(y[1]).all()
    assert np.isnan(ref.layer_norm_backward(np.ones_like(x), x, None, mean, rstd).dx[1]).all()
    rms = ref.rms_norm(x)[1]
    assert_array_equal(np.isnan(rms), np.arange(5) == 2 if np.isinf(bad) else True)
    assert np.isinf(bad) == (rms[0] == 0)


def test_nothing() -> None:
    """Empty batches and empty groups."""
    mean, var = np.full(3, 2.0), np.full(3, 3.0)
    result = ref.batch_norm_forward(np.empty((0, 3, 4)), None, None, mean, var)
    assert result.y.shape == (0, 3, 4)
    assert (*mean, *var) == (2, 2, 2, 3, 3, 3)
    g = ref.batch_norm_backward(result.y, result.y, None, result.mean, result.rstd)
    assert_array_equal(g.dweight, np.zeros(3))
    assert_array_equal(g.dbias, np.zeros(3))
    assert np.isnan(ref.layer_norm_forward(np.empty((2, 0))).rstd).all()
    assert ref.instance_norm(np.empty((2, 0, 3))).shape == (2, 0, 3)
    assert ref.group_norm(np.empty((0, 4, 3)), 2).shape == (0, 4, 3)


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32", "float64", "longdouble", "complex64"])
def test_dtypes(name: str) -> None:
    dtype = np.dtype(pytest.importorskip("ml_dtypes").bfloat16 if name == "bfloat16" else name)
    x = np.random.default_rng(0).standard_normal((3, 4)).astype(dtype)
    wide = {"longdouble": np.longdouble, "complex64": np.complex128}.get(name, np.float64)
    result = ref.layer_norm_forward(x, activation="gelu")
    assert result.y.dtype == result.mean.dtype == result.rstd.dtype == wide
    assert_array_equal(result.y, ref.layer_norm_forward(x.astype(wide), activation="gelu").y)
    assert ref.layer_norm_backward(x, x, x[0], result.mean, result.rstd).dx.dtype == wide


def test_activations() -> None:
    z = np.array([-40.0, -3.0, -0.5, 0.0, 0.5, 3.0, 40.0, np.nan])
    mean, var = np.zeros(8), np.ones(8)

    def act(name: Any) -> Any:
        return ref.batch_norm(z[None], mean, var, eps=0.0, activation=name)[0]

    def slope(name: Any) -> Any:
        return ref.batch_norm_backward(
            np.ones((1, 8)), z[None], None, mean, var, training=False, activation=name
        ).dx[0]  # fmt: skip

    assert_array_equal(act("relu"), [0, 0, 0, 0, 0.5, 3, 40, np.nan])
    assert_array_equal(slope("relu"), [0, 0, 0, 0, 1, 1, 1, 0])
    assert_allclose(act("silu")[:-1], (z / (1 + np.exp(-z)))[:-1])
    # z times the normal distribution function, to twelve digits of tables.
    assert_allclose(
        act("gelu")[1:6], [-0.00404969409489, -0.154268769363, 0, 0.345731230637, 2.99595030591], rtol=1e-11
    )
    assert_allclose(act("gelu_tanh")[:-1], act("gelu")[:-1], atol=5e-4)
    for name in ("silu", "gelu", "gelu_tanh"):
        assert np.isnan(act(name)[-1])
        assert_array_equal(act(name)[[3, 6]], [0, 40])
        assert abs(act(name)[0]) < 1e-15
        assert_allclose(slope(name)[[0, 3, 6]], [0, 0.5, 1], atol=1e-14)
