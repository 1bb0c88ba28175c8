"""`fastnorm.jax`: values, gradients, jit, vmap, scan, errors, and the formula of other devices."""

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastnorm as fn

jax = pytest.importorskip("jax", reason="jax is not installed")
import jax.numpy as jnp
from jax.test_util import check_grads

import fastnorm.jax as fnj

Function = Callable[..., Any]
WEIGHT, BIAS = np.linspace(0.5, 2, 12), np.linspace(-1, 1, 12)
CASES: dict[str, tuple[Function, Function, tuple[int, ...]]] = {
    "layer_norm": (fnj.layer_norm, fn.reference.layer_norm, (4, 3, 12)),
    "layer_norm of two axes": (
        lambda x, w, b: fnj.layer_norm(x, w.reshape(3, 4), b.reshape(3, 4), axis=(1, 2)),
        lambda x, w, b: fn.reference.layer_norm(x, w.reshape(3, 4), b.reshape(3, 4), axis=(1, 2)),
        (5, 3, 4),
    ),
    "rms_norm": (
        lambda x, w, b: fnj.rms_norm(x, w) + b * 0,
        lambda x, w, b: fn.reference.rms_norm(x, w),
        (4, 3, 12),
    ),
    "group_norm": (
        lambda x, w, b: fnj.group_norm(x, 4, w, b),
        lambda x, w, b: fn.reference.group_norm(x, 4, w, b, axis=-1),
        (2, 5, 5, 12),
    ),
    "group_norm, channels first": (
        lambda x, w, b: fnj.group_norm(x, 3, w, b, axis=1),
        lambda x, w, b: fn.reference.group_norm(x, 3, w, b, axis=1),
        (2, 12, 6),
    ),
}
TOLERANCE = {"float16": 4e-3, "bfloat16": 4e-2, "float32": 1e-5, "float64": 1e-12}


@pytest.fixture(params=[True, False], ids=["x64", "x32"])
def x64(request: pytest.FixtureRequest) -> Any:
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", request.param)
    yield request.param
    jax.config.update("jax_enable_x64", before)


def arguments(shape: tuple[int, ...], dtype: str = "float32") -> tuple[Any, ...]:
    x = np.random.default_rng(0).normal(size=shape) + 1
    return tuple(jnp.asarray(a).astype(dtype) for a in (x, WEIGHT, BIAS))


def exact(arrays: tuple[Any, ...]) -> list[np.ndarray]:
    return [np.asarray(a).astype(np.float64) for a in arrays]


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("case", CASES)
def test_values(case: str, dtype: str, x64: bool) -> None:
    if dtype == "float64" and not x64:
        pytest.skip("JAX has no float64 then")
    function, reference, shape = CASES[case]
    given = arguments(shape, dtype)
    for y in (function(*given), jax.jit(function)(*given)):
        assert y.dtype == dtype
        tolerance = TOLERANCE[dtype]
        np.testing.assert_allclose(np.asarray(y, np.float64), reference(*exact(given)), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("case", CASES)
def test_gradients(case: str, x64: bool) -> None:
    function, _, shape = CASES[case]
    tolerance = 1e-6 if x64 else 3e-2
    given = arguments(shape, "float64" if x64 else "float32")
    check_grads(function, given, order=1, modes=["rev"], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("weights", [(), ("weight",), ("bias",)])
def test_gradients_without_parameters(weights: tuple[str, ...]) -> None:
    x, weight, bias = arguments((4, 12))
    given = {"weight": weight, "bias": bias}
    given = {name: given[name] for name in weights}
    check_grads(lambda x, p: fnj.layer_norm(x, **p), (x, given), order=1, modes=["rev"], rtol=3e-2, atol=3e-2)


def test_gradients_of_mixed_dtypes() -> None:
    x, weight, bias = arguments((4, 12))
    given = x.astype("bfloat16"), weight, bias.astype("bfloat16")
    gradients = jax.grad(lambda *a: (fnj.layer_norm(*a) ** 2).sum().astype("float32"), (0, 1, 2))(*given)
    assert [a.dtype for a in gradients] == [a.dtype for a in given]


@pytest.mark.parametrize("case", CASES)
def test_maps_and_scans(case: str) -> None:
    function, _, shape = CASES[case]
    x, weight, bias = arguments(shape)
    both = jax.vmap(function, (0, None, None))(jnp.stack([x, 2 * x]), weight, bias)
    np.testing.assert_array_equal(both[1], function(2 * x, weight, bias))
    last, _ = jax.lax.scan(lambda c, _: (function(c, weight, bias), None), x, None, length=2)
    np.testing.assert_allclose(last, function(function(x, weight, bias), weight, bias), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_other_devices_compute_the_same(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    function, _, shape = CASES[case]
    given = arguments(shape)
    expected = function(*given)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    np.testing.assert_array_equal(jax.jit(function)(*given), expected)  # the kernel, since this is a CPU
    monkeypatch.setattr(fnj, "_kernel", fnj._formula)
    np.testing.assert_allclose(jax.jit(function)(*given), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda x: fnj.layer_norm(x, axis=2), r"axis must be from -2 to 1 for x with shape \(4, 12\), got 2"),
        (lambda x: fnj.layer_norm(x, eps=-1), r"eps must be a finite number >= 0, got -1.0"),
        (lambda x: fnj.layer_norm(x, jnp.ones(5)), r"weight must have shape \(12,\)"),
        (lambda x: fnj.layer_norm(x, jnp.ones(12, "float16")), r"weight must have dtype float32 or float64"),
        (lambda x: fnj.group_norm(x, 5), r"num_groups must divide the 12 channels"),
        (lambda x: fnj.rms_norm(x.astype(int)), r"x must have dtype float16, bfloat16, float32 or float64"),
    ],
)
def test_errors_have_our_text(call: Function, text: str) -> None:
    x, *_ = arguments((4, 12))
    with pytest.raises(Exception, match=text):
        jax.block_until_ready(jax.jit(call)(x))


def test_flax() -> None:
    linen = pytest.importorskip("flax.linen", reason="flax is not installed")
    x = jnp.asarray(np.random.default_rng(1).normal(size=(2, 6, 6, 12)), "float32")
    module = linen.GroupNorm(4)
    variables = module.init(jax.random.PRNGKey(0), x)
    p = variables["params"]
    ours = fnj.group_norm(x, 4, p["scale"], p["bias"], eps=1e-6)
    np.testing.assert_allclose(ours, module.apply(variables, x), rtol=1e-4, atol=1e-5)


class Extension(ctypes.Structure):
    _fields_ = (("size", ctypes.c_size_t), ("type", ctypes.c_int), ("next", ctypes.c_void_p))


class Metadata(ctypes.Structure):
    _fields_ = (
        ("size", ctypes.c_size_t),
        ("version_size", ctypes.c_size_t),
        ("version_extensions", ctypes.c_void_p),
        ("major", ctypes.c_int),
        ("minor", ctypes.c_int),
        ("traits", ctypes.c_uint32),
    )


class MetadataExtension(ctypes.Structure):
    _fields_ = (("base", Extension), ("metadata", ctypes.POINTER(Metadata)))


@pytest.mark.parametrize("name", fn._core.xla_handlers())
def test_runtimes_that_ask_without_their_table_get_an_answer(name: str) -> None:
    metadata = Metadata(ctypes.sizeof(Metadata))
    base = Extension(ctypes.sizeof(MetadataExtension), 1, None)
    extension = MetadataExtension(base, ctypes.pointer(metadata))
    # A frame as JAX 0.5 makes it: size, extensions, and zeros for all else.
    frame = (ctypes.c_size_t * 32)(32 * ctypes.sizeof(ctypes.c_size_t), ctypes.addressof(extension))
    get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
    get_pointer.restype, get_pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    address = get_pointer(fn._core.xla_handlers()[name], b"xla._CUSTOM_CALL_TARGET")
    handler = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)(address)
    assert handler(ctypes.addressof(frame)) is None
    assert (metadata.major, metadata.minor) == (0, 1)
