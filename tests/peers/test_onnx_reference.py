"""`fastnorm.onnx.reference_ops`: ONNX's own node tests, older opsets, and ONNX Runtime's operators."""

import warnings

import numpy as np
import pytest

import fastnorm as fn
import fastnorm.onnx

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
from onnx import TensorProto, helper
from onnx.backend.test.case.node import collect_testcases
from onnx.reference import ReferenceEvaluator

OPERATORS = (
    "BatchNormalization",
    "GroupNormalization",
    "InstanceNormalization",
    "LayerNormalization",
    "LpNormalization",
    "MeanVarianceNormalization",
    "RMSNormalization",
)


def cases() -> list[object]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some cases of other operators divide by zero on purpose
        found = collect_testcases(None)
    return [
        pytest.param(case, id=case.name)
        for case in found
        if case.model is not None
        and len(case.model.graph.node) == 1
        and case.model.graph.node[0].op_type in OPERATORS
        and case.model.graph.node[0].domain == ""
    ]


def one_node(
    op: str,
    inputs: dict[str, np.ndarray],
    outputs: list[str],
    *,
    opset: int = 21,
    domain: str = "",
    **attributes: object,
) -> object:
    kinds = {name: helper.np_dtype_to_tensor_dtype(a.dtype) for name, a in inputs.items()}
    graph = helper.make_graph(
        [helper.make_node(op, list(inputs), outputs, domain=domain, **attributes)],
        "one node",
        [helper.make_tensor_value_info(name, kinds[name], a.shape) for name, a in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs if name],
    )
    imports = [helper.make_opsetid("", opset)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


def node(op: str, inputs: dict[str, np.ndarray], *, outputs: int = 1, **options: object) -> list[np.ndarray]:
    """What one node gives."""
    model = one_node(op, inputs, [f"y{k}" for k in range(outputs)], **options)
    session = ReferenceEvaluator(model, new_ops=fastnorm.onnx.reference_ops())
    assert type(session.rt_nodes_[0]) in fastnorm.onnx.reference_ops()
    return session.run(None, inputs)


def numbers(*shape: int, dtype: str = "float32", seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(1, 2, shape).astype(dtype)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", cases())
def test_node_tests_of_onnx(case: object) -> None:
    session = ReferenceEvaluator(case.model, new_ops=fastnorm.onnx.reference_ops())
    assert type(session.rt_nodes_[0]) in fastnorm.onnx.reference_ops()
    for inputs, outputs in case.data_sets:
        results = session.run(None, dict(zip(session.input_names, inputs, strict=False)))
        for result, expected in zip(results, outputs, strict=True):
            assert result.dtype == expected.dtype
            np.testing.assert_allclose(result, expected, rtol=1e-3, atol=1e-5)


def test_every_call_returns_a_new_list() -> None:
    first = fastnorm.onnx.reference_ops()
    first.clear()
    assert fastnorm.onnx.reference_ops()


BATCH = {
    "x": numbers(3, 4, 5),
    "scale": numbers(4, seed=1),
    "bias": numbers(4, seed=2),
    "mean": numbers(4, seed=3),
    "var": numbers(4, seed=4) ** 2,
}


@pytest.mark.parametrize(
    ("opset", "attributes"), [(1, {"is_test": 1}), (6, {"is_test": 1, "spatial": 1}), (7, {}), (9, {})]
)
def test_batch_norm_of_old_models_evaluates(opset: int, attributes: dict[str, int]) -> None:
    (y,) = node("BatchNormalization", BATCH, opset=opset, **attributes)
    x, *rest = BATCH.values()
    np.testing.assert_allclose(y, fn.reference.batch_norm(x, *rest[2:], *rest[:2]), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("opset", "outputs", "attributes"), [(6, 5, {}), (7, 5, {}), (14, 3, {"training_mode": 1})])
def test_batch_norm_trains(opset: int, outputs: int, attributes: dict[str, int]) -> None:
    y, mean, var, *saved = node("BatchNormalization", BATCH, opset=opset, outputs=outputs, momentum=0.8, **attributes)
    x, scale, bias, *running = (a.astype(np.float64) for a in BATCH.values())
    expected = fn.reference.batch_norm_forward(x, scale, bias, *running, momentum=0.2, ddof=0)
    for result, exact in zip((y, mean, var), (expected.y, *running), strict=True):
        np.testing.assert_allclose(result, exact, rtol=1e-5, atol=1e-5)
    assert all(a.shape == (4,) for a in saved)


def test_batch_norm_of_one_value_per_channel_is_the_bias() -> None:
    inputs = BATCH | {"x": numbers(1, 4, 1)}
    y, *_ = node("BatchNormalization", inputs, outputs=3, training_mode=1)
    np.testing.assert_array_equal(y.ravel(), BATCH["bias"])


def test_statistics_of_single_positions() -> None:
    shape = (4, 5)
    inputs = {name: a if name == "x" else np.abs(numbers(*shape, seed=k)) for k, (name, a) in enumerate(BATCH.items())}
    (y,) = node("BatchNormalization", inputs, opset=6, is_test=1, spatial=0)
    x, scale, bias, mean, var = inputs.values()
    np.testing.assert_allclose(y, (x - mean) / np.sqrt(var + 1e-5) * scale + bias, rtol=1e-4, atol=1e-5)


def test_parameters_of_other_dtypes() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x = numbers(2, 4, 6).astype(ml_dtypes.bfloat16)
    if helper.tensor_dtype_to_np_dtype(TensorProto.BFLOAT16) != x.dtype:
        pytest.skip(f"ONNX {onnx.__version__} has no bfloat16 of ml_dtypes")
    scale, bias = numbers(4, dtype="float16"), numbers(4)
    (y,) = node("InstanceNormalization", {"x": x, "scale": scale, "bias": bias})
    expected = fn.reference.instance_norm(x.astype(np.float32), scale.astype(np.float32), bias)
    assert y.dtype == x.dtype
    np.testing.assert_allclose(y.astype(np.float32), expected, rtol=2**-8, atol=2**-8)


def test_constants_outside_of_the_root() -> None:
    x = np.array([[[[0.0, 4e-9]]]])
    (y,) = node("MeanVarianceNormalization", {"x": x})
    np.testing.assert_allclose(y, [[[[-2 / 3, 2 / 3]]]], rtol=1e-7)


@pytest.mark.parametrize("p", [1, 2])
def test_zeros_stay_zeros(p: int) -> None:
    (y,) = node("LpNormalization", {"x": np.array([[0.0, 0.0], [3.0, 4.0]])}, p=p)
    np.testing.assert_allclose(y, [[0, 0], [3 / 7, 4 / 7] if p == 1 else [0.6, 0.8]], rtol=1e-15)


IDS = np.array([[1, 0, 3], [2, 2, 1]], np.int32)
TABLES = {name: numbers(5, 8, seed=k) for k, name in enumerate(("words", "places", "segments"))}
SKIP = {"x": numbers(2, 3, 8), "skip": numbers(2, 3, 8, seed=5)}
SCALE, BIAS, SHIFT = ({name: numbers(8, seed=k)} for k, name in enumerate(("scale", "bias", "shift"), start=7))


@pytest.mark.parametrize(
    ("op", "inputs", "outputs"),
    [
        ("SkipLayerNormalization", {**SKIP, **SCALE, **BIAS, **SHIFT}, ["y", "", "", "sum"]),
        ("SkipSimplifiedLayerNormalization", {**SKIP, **SCALE, **SHIFT}, ["y", "", "", "sum"]),
        ("EmbedLayerNormalization", {"ids": IDS, "kinds": IDS % 2, **TABLES, **SCALE, **BIAS}, ["y", "lengths"]),
    ],
)
def test_operators_of_onnx_runtime(op: str, inputs: dict[str, np.ndarray], outputs: list[str]) -> None:
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    if op == "SkipSimplifiedLayerNormalization" and tuple(map(int, runtime.__version__.split(".")[:2])) < (1, 20):
        pytest.skip(f"ONNX Runtime {runtime.__version__} leaves the bias out")
    model = one_node(op, inputs, outputs, opset=17, domain="com.microsoft", epsilon=1e-3)
    if "lengths" in outputs:
        model.graph.output[1].type.tensor_type.elem_type = TensorProto.INT32
    theirs = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, inputs)
    ours = ReferenceEvaluator(model, new_ops=fastnorm.onnx.reference_ops()).run(None, inputs)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_own_operators_take_an_activation() -> None:
    x, scale, bias = numbers(2, 4, 6), numbers(4, seed=1), numbers(4, seed=2)
    inputs = {"x": x, "scale": scale, "bias": bias}
    (y,) = node("GroupNormalization", inputs, domain="fastnorm", num_groups=2, activation="silu")
    np.testing.assert_array_equal(y, fn.group_norm(x, 2, scale, bias, activation="silu"))


def test_errors_are_the_texts_of_the_functions() -> None:
    inputs = {"x": numbers(2, 6, 4), "scale": numbers(6), "bias": numbers(6)}
    with pytest.raises(ValueError, match="num_groups must"):
        node("GroupNormalization", inputs, num_groups=4)
