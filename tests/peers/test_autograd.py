"""`fastnorm.autograd`: gradients by autograd's own numerical check, and nothing computed that is not asked for."""

from functools import partial

import numpy as np
import pytest

import fastnorm as fn

pytest.importorskip("autograd", reason="autograd is not installed")
from autograd import grad
from autograd.test_util import check_grads

import fastnorm.autograd as fna

RNG = np.random.default_rng(0)
ROWS, IMAGES, SIX = RNG.normal(size=(3, 6)), RNG.normal(size=(2, 6, 3, 3)), RNG.normal(size=(2, 6))
FILTERS, GAIN = RNG.normal(size=(4, 3, 2)), RNG.normal(size=4)


def group_norm(x: object, weight: object, bias: object, **options: object) -> object:
    return fna.group_norm(x, 2, weight, bias, **options)


CASES = {
    "layer": (fna.layer_norm, (ROWS, *SIX)),
    "layer-activation": (partial(fna.layer_norm, activation="silu"), (ROWS, *SIX)),
    "rms": (partial(fna.rms_norm, offset=1.0), (ROWS, *SIX)),
    "batch": (fna.batch_norm, (IMAGES, *SIX)),
    "group": (group_norm, (IMAGES, *SIX)),
    "group-last": (partial(group_norm, axis=-1), (np.moveaxis(IMAGES, 1, -1), *SIX)),
    "instance": (fna.instance_norm, (IMAGES, *SIX)),
    "weight": (fna.weight_norm, (FILTERS, GAIN.reshape(4, 1, 1))),
    "standardization": (partial(fna.weight_standardization, mode="std_biased"), (FILTERS, GAIN)),
}


@pytest.mark.parametrize("case", CASES)
def test_gradients(case: str) -> None:
    function, arrays = CASES[case]
    check_grads(function, modes=["rev"], order=1)(*arrays)


@pytest.mark.parametrize("case", CASES)
def test_gradients_of_some_arguments(case: str) -> None:
    function, arrays = CASES[case]
    for k in range(len(arrays)):

        def alone(a: object, k: int = k) -> object:
            return function(*arrays[:k], a, *arrays[k + 1 :])

        check_grads(alone, modes=["rev"], order=1)(arrays[k])


def test_the_values_are_those_of_fastnorm() -> None:
    np.testing.assert_array_equal(fna.layer_norm(ROWS), fn.layer_norm(ROWS))
    np.testing.assert_array_equal(fna.instance_norm(IMAGES, SIX[0]), fn.instance_norm(IMAGES, SIX[0]))


def test_running_statistics_are_updated_once() -> None:
    mean, var = np.zeros(6), np.ones(6)
    grad(lambda x: (fna.batch_norm(x, None, None, mean, var) ** 2).sum())(IMAGES)
    expected_mean, expected_var = np.zeros(6), np.ones(6)
    fn.batch_norm_forward(IMAGES, None, None, expected_mean, expected_var)
    np.testing.assert_array_equal(mean, expected_mean)
    np.testing.assert_array_equal(var, expected_var)


def test_second_derivatives_raise() -> None:
    def inner(x: object) -> object:
        return fna.layer_norm(x)[0, 0]

    with pytest.raises(NotImplementedError, match="no second derivatives"):
        grad(lambda x: grad(inner)(x)[0, 1])(ROWS)


def test_errors_are_the_texts_of_the_functions() -> None:
    with pytest.raises(ValueError, match=r"weight must have shape \(6,\)"):
        grad(lambda weight: fna.layer_norm(ROWS, weight)[0, 0])(np.ones(5))
