"""What counts as an array, a parameter or a sequence of axes, in every function that takes one."""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import fastnorm as fn
from fastnorm import nn
from operations import FUNCTIONS, WRITTEN, Arguments, operation, operations

# Arguments that are data. Integers would have no dtype of their own there.
DATA = ("t", "x", "dy", "dh", "h", "residual", "v", "w", "dw", "z", "out")


def call_of(name: str, dtype: Any = np.float64) -> tuple[Callable[..., Any], Arguments]:
    """A call with arrays of small whole numbers, apart from statistics."""
    rng = np.random.default_rng(0)
    return operation(name, lambda *shape: rng.integers(1, 5, shape).astype(dtype), rng)


def flat(result: Any) -> Iterator[np.ndarray]:
    """The arrays of a result."""
    if isinstance(result, np.ndarray):
        yield result
    elif isinstance(result, tuple):
        for each in result:
            yield from flat(each)
    elif isinstance(result, fn.Whitening):
        yield result.matrix


def arrays_of(arguments: Arguments) -> list[str]:
    """Names of the arrays that a call does not write to."""
    return [name for name, value in arguments.items() if isinstance(value, np.ndarray) and name not in WRITTEN]


def assert_same(result: Any, expected: Any) -> None:
    for a, b in zip(flat(result), flat(expected), strict=True):
        assert a.dtype == b.dtype
        assert_array_equal(a, b)


# ---- lists of integers -----------------------------------------------------------------------------------------------


def takes_lists(name: str) -> list[str]:
    """Names of its parameters and statistics, but for buffers that it updates."""
    arguments = call_of(name)[1]
    others = (*DATA, "where", *(WRITTEN if name.endswith("_forward") else ()))
    return [key for key, value in arguments.items() if isinstance(value, np.ndarray) and key not in others]


PARAMETERS = [(name, key) for name in FUNCTIONS for key in takes_lists(name)]
PARAMETERS.remove(("fold_batch_norm", "weight"))  # which is the data there


@pytest.mark.parametrize(("name", "key"), PARAMETERS)
def test_parameters_and_statistics_may_be_lists_of_integers(name: str, key: str) -> None:
    """As lists of floats may: both are float64."""
    function, arguments = call_of(name)
    whole = np.ceil(np.abs(arguments[key])).astype(int)
    expected = function(**arguments | {key: whole.astype(np.float64)})
    assert_same(function(**call_of(name)[1] | {key: whole.tolist()}), expected)
    with pytest.raises(TypeError, match=f"^{key} must have"):
        function(**call_of(name)[1] | {key: whole})
    with pytest.raises(TypeError, match=f"^{key} must have"):
        function(**call_of(name)[1] | {key: (whole > 0).tolist()})


def test_gradients_of_lists_are_those_of_float64() -> None:
    x = np.ones((2, 3), np.float32)
    _, mean, rstd = fn.layer_norm_forward(x)
    assert fn.layer_norm_backward(x, x, [1, 2, 3], mean, rstd).dweight.dtype == np.float64


# ---- axes ------------------------------------------------------------------------------------------------------------

SEVERAL = [name for name in FUNCTIONS if name.startswith(("layer", "rms", "add_", "moments"))]


@pytest.mark.parametrize("name", SEVERAL)
@pytest.mark.parametrize("axes", [[1, 2], [-1, 1], range(1, 3), (np.int64(1), 2)])
def test_axes_may_be_any_sequence(name: str, axes: Sequence[int]) -> None:
    function, arguments = call_of(name)
    several: Arguments = {"axis": (1, 2)} | {key: np.ones((4, 5)) for key in ("weight", "bias") if key in arguments}
    several |= {key: np.ones((3, 1, 1)) for key in ("mean", "rstd") if key in arguments}
    expected = function(**arguments | several)
    assert_same(function(**call_of(name)[1] | several | {"axis": axes}), expected)
    for bad, error in (
        ([], ValueError),
        ([1, 1], ValueError),
        ([1, 5], ValueError),
        (["a"], TypeError),
        ("12", TypeError),
    ):
        with pytest.raises(error, match=r"^axis must "):
            function(**call_of(name)[1] | several | {"axis": bad})


def test_axes_and_shapes_of_layers_may_be_lists() -> None:
    x = np.random.default_rng(0).standard_normal((2, 3, 4))
    for kind in (nn.LayerNorm, nn.RMSNorm):
        axes = [0, 2]
        layer = kind([2, 4], axis=axes, dtype="f8")
        axes.clear()
        assert_array_equal(layer(x), kind((2, 4), axis=(0, 2), dtype="f8")(x))
        assert repr(layer).endswith("axis=(0, 2))")


# ---- arrays of other packages ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in operations() if name != "merge_moments"])
def test_bfloat16_tensors(name: str) -> None:
    """NumPy cannot look at them, so they come as integers of the same bits."""
    torch, ml_dtypes = pytest.importorskip("torch"), pytest.importorskip("ml_dtypes")
    function, arguments = call_of(name, ml_dtypes.bfloat16)
    tensors = {
        key: torch.from_numpy(np.array(value).view(np.int16)).view(torch.bfloat16)
        for key, value in arguments.items()
        if key in arrays_of(arguments) and value.dtype == ml_dtypes.bfloat16
    }
    if not tensors:
        pytest.skip("takes no data")
    expected = function(**arguments)
    result = function(**call_of(name, ml_dtypes.bfloat16)[1] | tensors)
    if not name.startswith("nn."):
        assert_same(result, expected)


def test_bfloat16_tensors_of_any_layout_and_kind() -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("ml_dtypes")
    x = torch.arange(24.0).reshape(4, 6).to(torch.bfloat16)
    expected = fn.layer_norm(x[:, ::2].T.contiguous())
    assert expected.dtype == "bfloat16"
    assert_array_equal(fn.layer_norm(x[:, ::2].T), expected)
    parameter = torch.nn.Parameter(x)
    with pytest.raises(TypeError, match=r"^x must be an array, got Parameter that is none: .*use tensor\.detach\(\)"):
        fn.layer_norm(parameter)
    assert_array_equal(fn.layer_norm(parameter.detach()), fn.layer_norm(x))
    with pytest.raises(TypeError, match=r"^x must be an array, got Tensor that is none"):
        fn.layer_norm(x.to("meta"))


def test_bfloat16_tensors_need_ml_dtypes(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    with pytest.raises(TypeError, match=re.escape("bfloat16 needs the package ml_dtypes: pip install ml_dtypes")):
        fn.layer_norm(torch.ones(2, 3, dtype=torch.bfloat16))


def lazy(shape: tuple[int, ...]) -> Any:
    """An object of a class of Dask, which must not be computed."""

    def compute(*_: Any, **__: Any) -> Any:
        pytest.fail("computed")

    body = {"__module__": "dask.array.core", "__array__": compute, "shape": shape, "dtype": np.dtype("f4")}
    return type("Array", (), body)()


@pytest.mark.parametrize("name", operations())
def test_a_dask_array_is_refused(name: str) -> None:
    function, arguments = call_of(name)
    for key in arrays_of(arguments):
        text = f"{key} must be an array in memory, got a Dask Array: use fastnorm.dask, or compute() it"
        with pytest.raises(TypeError, match=f"^{re.escape(text)}$"):
            function(**call_of(name)[1] | {key: lazy(arguments[key].shape)})


def test_a_dask_array_of_dask_is_refused() -> None:
    dask_array = pytest.importorskip("dask.array")
    with pytest.raises(TypeError, match=r"^x must be an array in memory, got a Dask Array: use fastnorm\.dask"):
        fn.layer_norm(dask_array.ones((4, 6), chunks=2))
