"""`fastnorm.onnx.register`: ONNX's node tests in ONNX Runtime, every dtype, our domain, errors, older runtimes."""

import ctypes
import threading
import warnings

import numpy as np
import pytest

import fastnorm as fn
import fastnorm.onnx

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
from onnx import TensorProto, helper, parser
from onnx.backend.test.case.node import collect_testcases

OPERATORS = ("GroupNormalization", "InstanceNormalization", "LayerNormalization", "RMSNormalization")
CPU = ["CPUExecutionProvider"]
TYPES = {"float16": TensorProto.FLOAT16, "bfloat16": TensorProto.BFLOAT16, "float32": TensorProto.FLOAT,
         "float64": TensorProto.DOUBLE}  # fmt: skip
TOLERANCE = {"float16": 2e-3, "bfloat16": 2e-2, "float32": 1e-5, "float64": 1e-12}


def options(*, register: bool = True, **how: bool) -> object:
    result = runtime.SessionOptions()
    result.log_severity_level = 4
    if register:
        fastnorm.onnx.register(result, **how)
    return result


def session(model: object, **how: bool) -> object:
    return runtime.InferenceSession(model.SerializeToString(), options(**how), providers=CPU)


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def one_node(
    op: str,
    inputs: dict[str, np.ndarray],
    outputs: list[str],
    *,
    opset: int,
    domain: str,
    dtype: str,
    **attributes: object,
) -> object:
    """A model of one node in `dtype`, with float64 inputs and outputs around it."""
    given = [name for name in inputs if name]
    nodes = [helper.make_node("Cast", [name], [f"{name}_"], to=TYPES[dtype]) for name in given]
    names = [f"{name}_" if name else "" for name in inputs]
    results = [f"{name}_" if name else "" for name in outputs]
    nodes.append(helper.make_node(op, names, results, domain=domain, **attributes))
    asked = [name for name in outputs if name]
    nodes += [helper.make_node("Cast", [f"{name}_"], [name], to=TensorProto.DOUBLE) for name in asked]
    graph = helper.make_graph(
        nodes,
        "one node",
        [helper.make_tensor_value_info(name, TensorProto.DOUBLE, [None] * inputs[name].ndim) for name in given],
        [helper.make_tensor_value_info(name, TensorProto.DOUBLE, None) for name in asked],
    )
    imports = [helper.make_opsetid("", opset)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


def run(
    op: str,
    inputs: dict[str, np.ndarray],
    outputs: tuple[str, ...] = ("y",),
    *,
    opset: int = 17,
    domain: str = "fastnorm",
    dtype: str = "float32",
    register: bool = True,
    **attributes: object,
) -> list[np.ndarray]:
    model = one_node(op, inputs, list(outputs), opset=opset, domain=domain, dtype=dtype, **attributes)
    return session(model, register=register).run(None, {name: a for name, a in inputs.items() if name})


def cases() -> list[object]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = collect_testcases(None)
    return [
        pytest.param(case, id=case.name)
        for case in found
        if case.model is not None and len(case.model.graph.node) == 1 and case.model.graph.node[0].op_type in OPERATORS
    ]


@pytest.mark.parametrize("case", cases())
def test_node(case: object) -> None:
    try:
        session(case.model, register=False)
    except Exception:
        pytest.skip("a version of the operator that this ONNX Runtime has not")
    for inputs, outputs in case.data_sets:
        ours = session(case.model)
        results = ours.run(None, dict(zip([i.name for i in ours.get_inputs()], inputs, strict=True)))
        for result, expected in zip(results, outputs, strict=True):
            assert result.shape == expected.shape
            assert result.dtype == expected.dtype
            np.testing.assert_allclose(result, expected, rtol=case.rtol, atol=case.atol)


IMAGE = {"x": numbers(2, 6, 5, 3) + 1, "scale": numbers(6, seed=1), "bias": numbers(6, seed=2)}
ROWS = {"x": numbers(2, 3, 8) + 1, "scale": numbers(8, seed=1), "bias": numbers(8, seed=2)}


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("domain", ["", "fastnorm"])
def test_dtypes(domain: str, dtype: str) -> None:
    tolerance = {"rtol": 2 * TOLERANCE[dtype], "atol": 2 * TOLERANCE[dtype]}
    (y,) = run("GroupNormalization", IMAGE, opset=21, domain=domain, dtype=dtype, num_groups=3)
    np.testing.assert_allclose(y, fn.reference.group_norm(IMAGE["x"], 3, IMAGE["scale"], IMAGE["bias"]), **tolerance)
    (y,) = run("InstanceNormalization", IMAGE, domain=domain, dtype=dtype)
    np.testing.assert_allclose(y, fn.reference.instance_norm(*IMAGE.values()), **tolerance)
    (y,) = run("LayerNormalization", ROWS, domain=domain, dtype=dtype)
    np.testing.assert_allclose(y, fn.reference.layer_norm(*ROWS.values()), **tolerance)


@pytest.mark.parametrize("dtype", TYPES)
def test_rms_norm(dtype: str) -> None:
    x, scale, _ = ROWS.values()
    (y,) = run("RMSNormalization", {"x": x, "scale": scale}, dtype=dtype, axis=1, epsilon=2**-10)
    expected = fn.reference.rms_norm(x, np.broadcast_to(scale, (3, 8)), axis=(1, 2), eps=2**-10)
    np.testing.assert_allclose(y, expected, rtol=2 * TOLERANCE[dtype], atol=2 * TOLERANCE[dtype])


@pytest.mark.parametrize("domain", ["", "fastnorm"])
def test_one_scale_for_each_group(domain: str) -> None:
    scale, bias = numbers(3, seed=3), numbers(3, seed=4)
    inputs = {"x": IMAGE["x"], "scale": scale, "bias": bias}
    (y,) = run("GroupNormalization", inputs, opset=18, domain=domain, dtype="float64", num_groups=3)
    expected = fn.reference.group_norm(IMAGE["x"], 3, np.repeat(scale, 2), np.repeat(bias, 2))
    np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "float64"])
@pytest.mark.parametrize("asked", [("y", "mean", "rstd"), ("y", "", "rstd"), ("y", "mean")])
def test_statistics_of_layer_norm(asked: tuple[str, ...], dtype: str) -> None:
    x = ROWS["x"].astype(dtype).astype(np.float64)
    results = run("LayerNormalization", ROWS, asked, domain="", dtype=dtype, axis=-2, epsilon=0.0)
    expected = {"mean": x.mean((1, 2), keepdims=True), "rstd": 1 / x.std((1, 2), keepdims=True)}
    for name, result in zip([name for name in asked if name], results, strict=True):
        if name != "y":
            np.testing.assert_allclose(result, expected[name], rtol=1e-6)


@pytest.mark.parametrize("shape", [(), (1,), (8,), (3, 1), (3, 8), (1, 3, 8), (2, 1, 1)])
def test_scales_broadcast(shape: tuple[int, ...]) -> None:
    scale = numbers(*shape, seed=5)
    (y,) = run("LayerNormalization", {"x": ROWS["x"], "scale": scale}, domain="", dtype="float64", axis=1, epsilon=1e-3)
    np.testing.assert_allclose(y, fn.reference.layer_norm(ROWS["x"], axis=(1, 2), eps=1e-3) * scale, atol=1e-6)


@pytest.mark.parametrize("activation", ["relu", "silu", "gelu", "gelu_tanh"])
def test_activations(activation: str) -> None:
    (y,) = run("GroupNormalization", IMAGE, dtype="float64", num_groups=2, activation=activation)
    x, scale, bias = IMAGE.values()
    expected = fn.reference.group_norm(x, 2, scale, bias, activation=activation)
    np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-6)


def test_an_unknown_activation_is_refused_with_the_model() -> None:
    with pytest.raises(Exception, match=r"activation must be one of 'relu', .*, got 'tanh'"):
        run("InstanceNormalization", IMAGE, activation="tanh")


def test_converted_models_run() -> None:
    model = parser.parse_model("""<ir_version: 10, opset_import: ["": 21]>
    block (double[2, 6, 5, 3] x, double[6] scale, double[6] bias) => (double[2, 6, 5, 3] z) {
        y = GroupNormalization <num_groups = 3, epsilon = 0.125> (x, scale, bias)
        gate = Sigmoid (y)
        z = Mul (y, gate)
    }""")
    converted = fastnorm.onnx.convert(model)
    assert [node.domain for node in converted.graph.node] == ["fastnorm"]
    (z,) = session(converted, override=False).run(None, IMAGE)
    x, scale, bias = IMAGE.values()
    expected = fn.reference.group_norm(x, 3, scale, bias, eps=0.125, activation="silu")
    np.testing.assert_allclose(z, expected, rtol=1e-12, atol=1e-12)


SKIPS = {"whole": numbers(2, 3, 8, seed=5), "rows": numbers(3, 8, seed=5), "one sample": numbers(1, 3, 8, seed=5)}


@pytest.mark.parametrize("skip", SKIPS)
@pytest.mark.parametrize("shift", [True, False])
@pytest.mark.parametrize("op", ["SkipLayerNormalization", "SkipSimplifiedLayerNormalization"])
@pytest.mark.parametrize("outputs", [("y", "", "", "sum"), ("y",)])
def test_skip_norms_are_those_of_onnx_runtime(op: str, skip: str, shift: bool, outputs: tuple[str, ...]) -> None:
    inputs = {"x": ROWS["x"], "skip": SKIPS[skip], "scale": ROWS["scale"]}
    if op == "SkipLayerNormalization":
        inputs["bias"] = ROWS["bias"]
    elif shift and tuple(map(int, runtime.__version__.split(".")[:2])) < (1, 20):
        pytest.skip(f"ONNX Runtime {runtime.__version__} leaves this bias out")
    if shift:
        inputs["shift"] = numbers(8, seed=6)
    ours = run(op, inputs, outputs, epsilon=1e-3)
    theirs = run(op, inputs, outputs, domain="com.microsoft", register=False, epsilon=1e-3)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_statistics_of_skip_norms() -> None:
    inputs = {"x": ROWS["x"], "skip": SKIPS["whole"], "scale": ROWS["scale"]}
    h = ROWS["x"] + SKIPS["whole"]
    _, mean, rstd = run("SkipLayerNormalization", inputs, ("y", "mean", "rstd"), dtype="float64")
    np.testing.assert_allclose(mean, h.mean(-1, keepdims=True), rtol=1e-6)
    np.testing.assert_allclose(rstd, 1 / h.std(-1, keepdims=True), rtol=1e-6)
    _, rstd = run("SkipSimplifiedLayerNormalization", inputs, ("y", "", "rstd"), dtype="float64")
    np.testing.assert_allclose(rstd, 1 / np.sqrt((h**2).mean(-1, keepdims=True)), rtol=1e-6)


def test_without_override_standard_operators_stay() -> None:
    model = one_node("LayerNormalization", ROWS, ["y"], opset=17, domain="", dtype="float32", axis=5)
    with pytest.raises(Exception, match=r"axis must be from -3 to 2"):
        session(model).run(None, ROWS)
    with pytest.raises(Exception, match=r"(?i)axis") as error:
        session(model, override=False).run(None, ROWS)
    assert "axis must be from" not in str(error.value)
    own = one_node("LayerNormalization", ROWS, ["y"], opset=17, domain="fastnorm", dtype="float32")
    (y,) = session(own, override=False).run(None, ROWS)
    np.testing.assert_allclose(y, fn.reference.layer_norm(*ROWS.values()), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("op", "inputs", "attributes", "text"),
    [
        ("GroupNormalization", IMAGE, {"num_groups": 4}, r"num_groups must divide the 6 channels on axis 1 of x"),
        ("GroupNormalization", IMAGE, {}, r"num_groups must be positive, got 0"),
        ("InstanceNormalization", IMAGE | {"scale": numbers(5)}, {}, r"weight must have shape \(6,\)"),
        ("LayerNormalization", ROWS | {"bias": numbers(7)}, {}, r"bias must have shape \(8,\)"),
        ("LayerNormalization", ROWS, {"epsilon": -1.0}, r"eps must be a finite number >= 0, got -1.0"),
        ("SkipLayerNormalization", {"x": ROWS["x"], "skip": numbers(4, 8), "scale": numbers(8)}, {}, "residual must"),
    ],
)
def test_errors_have_our_text(op: str, inputs: dict[str, np.ndarray], attributes: dict[str, object], text: str) -> None:
    with pytest.raises(Exception, match=text):
        run(op, inputs, opset=21, **attributes)


def test_other_operators_stay() -> None:
    inputs = {"x": IMAGE["x"], **{name: abs(numbers(6, seed=k)) for k, name in enumerate(("s", "b", "m", "v"))}}
    ours = run("BatchNormalization", inputs, domain="")
    np.testing.assert_array_equal(ours[0], run("BatchNormalization", inputs, domain="", register=False)[0])


def test_empty_batches() -> None:
    (y,) = run("GroupNormalization", IMAGE | {"x": np.zeros((0, 6, 4))}, num_groups=2)
    assert y.shape == (0, 6, 4)


def test_one_session_in_many_threads() -> None:
    model = one_node("GroupNormalization", IMAGE, ["y"], opset=21, domain="", dtype="float32", num_groups=3)
    shared = session(model)
    expected, wrong = shared.run(None, IMAGE)[0], []

    def work() -> None:
        wrong.extend(1 for _ in range(50) if not np.array_equal(shared.run(None, IMAGE)[0], expected))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_what_is_no_session_options() -> None:
    with pytest.raises(TypeError, match=r"session_options must be an onnxruntime\.SessionOptions, got dict"):
        fastnorm.onnx.register({})


def test_a_runtime_that_is_too_old_is_told_so() -> None:
    texts = []
    create_status = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p)(
        lambda _, text: texts.append(text) or 1
    )
    table = (ctypes.c_void_p * 1)(ctypes.cast(create_status, ctypes.c_void_p).value)
    get_api = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_uint32)(
        lambda version: ctypes.addressof(table) if version <= 15 else None
    )
    get_version = ctypes.CFUNCTYPE(ctypes.c_void_p)(lambda: ctypes.addressof(version))
    version = ctypes.create_string_buffer(b"1.15.1")
    base = (ctypes.c_void_p * 2)(*(ctypes.cast(f, ctypes.c_void_p).value for f in (get_api, get_version)))
    library = ctypes.CDLL(fastnorm.onnx.library_path())
    assert library.RegisterCustomOps(None, base) != 0
    assert texts == [b"fastnorm needs ONNX Runtime 1.16 or newer, got 1.15.1"]
