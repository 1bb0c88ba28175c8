"""Dask arrays: results of the whole, or of the blocks in a fixed tree, whatever the scheduler."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import fastnorm as fn
from ranks import same_bits, same_fit

da = pytest.importorskip("dask.array", reason="Dask is not installed")
dask = pytest.importorskip("dask")
fnd = pytest.importorskip("fastnorm.dask")


@pytest.fixture(autouse=True, params=["synchronous", "threads"])
def scheduler(request: pytest.FixtureRequest) -> Any:
    with dask.config.set(scheduler=request.param):
        yield


def make(shape: tuple[int, ...], dtype: Any = np.float32, mean: float = 0.0) -> np.ndarray:
    return (np.random.default_rng(0).standard_normal(shape) + mean).astype(dtype)


W, B = (make((6,)), make((6,)) + 1)
MEAN, VAR = np.arange(6.0), np.arange(1.0, 7.0)

# A function, its arguments behind x, and the axes that may stay in blocks.
BY_BLOCKS: dict[str, tuple[str, tuple[Any, ...], dict[str, Any]]] = {
    "layer": ("layer_norm", (W, B), {"eps": 1e-3}),
    "layer-first": ("layer_norm", (), {"axis": 0}),
    "layer-several": ("layer_norm", (), {"axis": (0, 2), "activation": "gelu"}),
    "layer-all": ("layer_norm", (), {"axis": (0, 1, 2)}),
    "rms": ("rms_norm", (W, None), {"offset": 1.0}),
    "group": ("group_norm", (3, W, B), {"axis": -1}),
    "instance": ("instance_norm", (W, B), {"axis": 2}),
    "batch": ("batch_norm", (MEAN, VAR, W, B), {"axis": -1}),
    "batch-first": ("batch_norm", (np.zeros(7), np.ones(7)), {"axis": 0}),
}


@pytest.mark.parametrize("name", BY_BLOCKS)
@pytest.mark.parametrize("chunks", [(3, 2, 4), ((1, 5, 1), (5,), (6,)), -1], ids=["all", "uneven", "one"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_rows_and_samples_in_blocks_have_the_bits_of_the_whole(name: str, chunks: Any, dtype: Any) -> None:
    op, arguments, options = BY_BLOCKS[name]
    x = make((7, 5, 6), dtype)
    arguments = tuple(a.astype(dtype) if isinstance(a, np.ndarray) else a for a in arguments)
    y = getattr(fnd, op)(da.from_array(x, chunks=chunks), *arguments, **options)
    assert isinstance(y, da.Array)
    assert y.shape == x.shape
    assert y.dtype == x.dtype
    assert same_bits(y.compute(), getattr(fn, op)(x, *arguments, **options))


def test_axes_that_are_not_normalized_stay_in_their_blocks() -> None:
    x = da.from_array(make((8, 6)), chunks=((1, 4, 3), 2))
    assert fnd.layer_norm(x).chunks == ((1, 4, 3), (6,))
    assert fnd.batch_norm_forward(x).y.chunks == ((1, 4, 3), (6,))


@pytest.mark.parametrize("axis", [None, 0, (0, 2), 1, -1])
@pytest.mark.parametrize("chunks", [(3, 2, 4), ((1, 0, 8), (5,), (6,)), -1], ids=["all", "uneven", "one"])
def test_moments_are_merged_in_the_order_of_the_blocks(axis: Any, chunks: Any) -> None:
    x = make((9, 5, 6), np.float64, mean=10.0)
    lazy = da.from_array(x, chunks=chunks)
    for keepdims in (False, True):
        got = fnd.moments(lazy, axis, keepdims=keepdims).compute()
        whole = fn.moments(x, axis=axis, keepdims=keepdims)
        assert isinstance(got, fn.Moments)
        for a, b in zip(got, whole, strict=True):
            assert a.shape == b.shape
            assert a.dtype == np.float64
            assert np.allclose(a, b, rtol=1e-12)
    if axis == 0:
        parts = [fn.moments(b, axis=0) for b in np.split(x, np.cumsum(lazy.chunks[0])[:-1])]
        assert same_bits(fnd.moments(lazy, axis).compute(), fn.merge_moments(parts))


def test_trees_of_powers_of_two_give_one_result_and_others_one_of_their_own() -> None:
    lazy = da.from_array(make((37, 3), mean=100.0), chunks=(1, 3))
    two, three, eight = (fnd.moments(lazy, 0, split_every=k).compute() for k in (2, 3, 8))
    assert same_bits(two, eight)
    assert same_bits(three, fnd.moments(lazy, 0, split_every=3).compute())
    assert np.allclose(two.m2, three.m2, rtol=1e-12)


def test_batch_norm_forward_is_that_of_ranks_with_the_same_blocks() -> None:
    from fastnorm.distributed import sync_batch_norm_forward

    x = make((9, 6, 4), mean=100.0)
    y, mean, rstd = fnd.batch_norm_forward(da.from_array(x, chunks=((2, 0, 7), 4, 4)), W, B, activation="relu")
    expected = sync_batch_norm_forward([x[:2], x[:0], x[2:]], W, B, activation="relu", allgather=None)
    assert same_bits(y.compute(), np.concatenate(expected.y))
    assert same_bits(dask.compute(mean, rstd), (expected.mean, expected.rstd))


def test_batch_norm_forward_without_values() -> None:
    y, mean, rstd = fnd.batch_norm_forward(da.zeros((0, 3), dtype=np.float32))
    assert y.compute().shape == (0, 3)
    assert np.isnan(mean.compute()).all()
    assert np.isnan(rstd.compute()).all()


def test_nothing_is_computed_at_the_call() -> None:
    def fail(block: np.ndarray) -> np.ndarray:
        raise AssertionError("computed")

    x = da.zeros((6, 4), chunks=2).map_blocks(fail, dtype=np.float32, meta=np.empty((0, 0), np.float32))
    lazy = [fnd.layer_norm(x), fnd.moments(x, 0), fnd.batch_norm_forward(x).y]
    for result in lazy:
        with pytest.raises(AssertionError, match="computed"):
            result.compute()


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda x: fnd.layer_norm(np.ones((2, 2))), TypeError, "x must be a Dask array, got ndarray: use fastnorm.l"),
        (lambda x: fnd.moments(x.astype(int)), TypeError, "x must have dtype float16, .*got int"),
        (lambda x: fnd.layer_norm(x[x[:, 0] > 0]), ValueError, r"known sizes, .*call x\.compute_chunk_sizes\(\) first"),
        (lambda x: fnd.moments(x[x[:, 0] > 0], 0), ValueError, "x must have blocks of known sizes"),
        (lambda x: fnd.layer_norm(x, np.ones(3)), ValueError, r"weight must have shape \(6,\)"),
        (lambda x: fnd.layer_norm(x, da.ones(6)), TypeError, "weight must be an array in memory, got a Dask Array"),
        (lambda x: fnd.rms_norm(x, eps=-1.0), ValueError, "eps must be"),
        (lambda x: fnd.layer_norm(x, axis=2), ValueError, "axis must be from -2 to 1"),
        (lambda x: fnd.group_norm(x, 4), ValueError, "num_groups must divide"),
        (lambda x: fnd.instance_norm(x, axis=0), ValueError, "axis must not be 0"),
        (lambda x: fnd.batch_norm(x, MEAN[1:], VAR), ValueError, r"running_mean must have shape \(6,\)"),
        (lambda x: fnd.batch_norm_forward(x, np.ones(5)), ValueError, r"weight must have shape \(6,\)"),
        (lambda x: fnd.batch_norm_forward(x[:1]), ValueError, "expected more than one value per channel"),
        (lambda x: fnd.moments(x, 0, split_every=1), ValueError, "split_every must be 2 or more, got 1"),
        (lambda x: fnd.moments(x, 0, split_every=2.5), TypeError, "split_every must be an integer, got float"),
    ],
)
def test_errors_are_raised_at_the_call(call: Any, kind: type[Exception], text: str) -> None:
    x = da.from_array(make((8, 6), np.float64), chunks=(3, 4))
    with pytest.raises(kind, match=text):
        call(x)


def test_functions_for_arrays_say_where_dask_arrays_go() -> None:
    x = da.ones((4, 4), chunks=2)
    text = "x must be an array in memory, got a Dask Array: use fastnorm.dask, or compute() it"
    for call in (fn.layer_norm, fn.moments, fn.fit_whitening, fn.batch_norm_forward):
        with pytest.raises(TypeError) as caught:
            call(x)
        assert str(caught.value) == text


def test_large_parameters_are_no_cause_of_warnings() -> None:
    x = da.ones((4, 100_000), chunks=(1, -1), dtype=np.float32)
    weight = np.full(100_000, 2.0, np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not fnd.layer_norm(x, weight).compute().any()


# ---- whitening -------------------------------------------------------------------------------------------------------

FITS: dict[str, dict[str, Any]] = {
    "zca": {},
    "pca": {"method": "pca", "n_components": 3},
    "qr": {"method": "cholesky", "solver": "qr"},
    "cor": {"method": "zca-cor", "eps": 0.1},
}


def samples(dtype: Any = np.float32) -> np.ndarray:
    rng = np.random.default_rng(2)
    return (rng.standard_normal((700, 8)) @ rng.standard_normal((8, 8)) + 10).astype(dtype)


@pytest.mark.parametrize("name", FITS)
@pytest.mark.parametrize("rows", [(700,), (1, 0, 399, 300), (7,) * 100], ids=["one", "uneven", "small"])
def test_a_fit_is_that_of_ranks_with_the_same_blocks(name: str, rows: Any) -> None:
    from fastnorm.distributed import fit_whitening

    x = samples()
    fit = fnd.fit_whitening(da.from_array(x, chunks=(rows, 8)), **FITS[name]).compute()
    assert same_fit(fit, fit_whitening(np.split(x, np.cumsum(rows)[:-1]), allgather=None, **FITS[name]))
    assert same_fit(fit, fnd.fit_whitening(da.from_array(x, chunks=(rows, 3)), **FITS[name]).compute())
    whole = fn.fit_whitening(x, **FITS[name])
    assert np.allclose(fit.matrix, whole.matrix, rtol=1e-6, atol=1e-7 * np.abs(whole.matrix).max())


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_maps_of_blocks_have_the_bits_of_the_whole(dtype: Any) -> None:
    x = samples(dtype)
    fit = fn.fit_whitening(x, method="pca", n_components=3)
    lazy = da.from_array(x, chunks=((1, 0, 399, 300), 3))
    z = fnd.transform(fit, lazy)
    assert z.dtype == dtype
    assert z.chunks == ((1, 0, 399, 300), (3,))
    assert same_bits(z.compute(), fit.transform(x))
    back = fnd.inverse_transform(fit, z.rechunk((100, 2)))
    assert back.chunks == ((100,) * 7, (8,))
    assert same_bits(back.compute(), fit.inverse_transform(fit.transform(x)))


def test_a_fit_that_is_not_computed_yet_transforms() -> None:
    x = samples()
    lazy = da.from_array(x, chunks=(100, 8))
    fit = fnd.fit_whitening(lazy)
    z = fnd.transform(fit, lazy)
    assert np.isnan(z.shape[1])
    assert same_bits(z.compute(), fit.compute().transform(x))


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (
            lambda x: fnd.fit_whitening(np.ones((3, 2))),
            TypeError,
            "x must be a Dask array, got ndarray: use fastnorm.fit",
        ),
        (lambda x: fnd.fit_whitening(x[:, 0]), ValueError, "x must have two dimensions, samples and features"),
        (lambda x: fnd.fit_whitening(x[:0]), ValueError, "x must have one or more samples in its blocks, got none"),
        (lambda x: fnd.fit_whitening(x[x[:, 0] > 0]), ValueError, "x must have blocks of known sizes"),
        (lambda x: fnd.fit_whitening(x, method="best"), ValueError, "method must be one of"),
        (lambda x: fnd.fit_whitening(x, split_every=0), ValueError, "split_every must be 2 or more, got 0"),
        (lambda x: fnd.transform("pca", x), TypeError, "fit must be a Whitening, got str"),
        (lambda x: fnd.transform(fn.fit_whitening(samples()), x[:, :7]), ValueError, "x must have 8 features"),
        (lambda x: fnd.inverse_transform(fn.fit_whitening(samples()), x[:, :7]), ValueError, "z must have 8 compon"),
    ],
)
def test_errors_of_whitening_are_raised_at_the_call(call: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        call(da.from_array(samples(), chunks=(100, 4)))


@pytest.mark.parametrize(
    ("change", "kind", "text"),
    [
        (lambda x: x.map_blocks(np.zeros_like), np.linalg.LinAlgError, "full rank"),
        (lambda x: da.where(x == x.max(), np.nan, x), ValueError, "x must be finite, got NaN or inf in column"),
    ],
)
def test_errors_in_the_data_are_raised_when_they_are_computed(change: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        fnd.fit_whitening(change(da.from_array(samples(), chunks=(100, 8)))).compute()


def declared(shapes: Any, shape: tuple[int, int] = (10, 4), made: Any = np.float32) -> Any:
    """An array whose blocks are not what Dask has them down for."""
    blocks = [dask.delayed(np.ones)(given, made) for given in shapes]
    return da.concatenate([da.from_delayed(block, shape, np.float32) for block in blocks])


CALLS: dict[str, Any] = {
    "fit_whitening": fnd.fit_whitening,
    "transform": lambda x: fnd.transform(fn.fit_whitening(samples()[:, :4]), x),
    "moments": lambda x: fnd.moments(x),
    "batch_norm_forward": lambda x: fnd.batch_norm_forward(x).y,
    "batch_norm": lambda x: fnd.batch_norm(x, np.zeros(4), np.ones(4)),
    "layer_norm": fnd.layer_norm,
    "group_norm": lambda x: fnd.group_norm(x, 2),
}


@pytest.mark.parametrize("name", CALLS)
def test_blocks_that_are_not_what_dask_has_them_down_for(name: str) -> None:
    text = r"x must have blocks of shape \((any|10), 4\), which Dask has for all of them, got one of shape \(10, 3\)"
    for shapes in ([(10, 4), (10, 3), (10, 4)], [(10, 3)]):
        with pytest.raises(ValueError, match=text):
            CALLS[name](declared(shapes)).compute()
    with pytest.raises(TypeError, match=r"x must have blocks of dtype float32, .* got one of float64"):
        CALLS[name](declared([(10, 4)] * 2, made=np.float64)).compute()


def test_a_delayed_fit_that_is_none_is_named() -> None:
    for call in (fnd.transform, fnd.inverse_transform):
        with pytest.raises(TypeError, match="fit must be a Whitening, got int"):
            call(dask.delayed(3), da.ones((4, 2))).compute()


@pytest.mark.parametrize("name", CALLS)
def test_tasks_of_blocks_have_the_names_of_the_functions_and_the_same_keys_again(name: str) -> None:
    x = da.from_array(make((12, 4)), chunks=(3, 4))
    keys = {dask.utils.key_split(key) for key in CALLS[name](x).__dask_graph__()}
    assert name in keys
    assert CALLS[name](x).__dask_keys__() == CALLS[name](x).__dask_keys__()
