"""`fastnorm.onnx.convert`: which nodes are fused, and that the results stay."""

import numpy as np
import pytest

import fastnorm.onnx

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
from onnx import parser
from onnx.reference import ReferenceEvaluator

ROWS = "float[N, 3, 8] x, float[N, 3, 8] r, float[8] s, float[8] b"
IMAGE = "float[N, 8, 4, 4] x, float[8] s, float[8] b"
SKIP, SIMPLE = "SkipLayerNormalization", "SkipSimplifiedLayerNormalization"


def check(inputs: str, body: str, expected: list[str], *, outputs: str = "y", opset: int = 23) -> object:
    results = ", ".join(f"float[] {name}" for name in outputs.split())
    text = f'<ir_version: 8, opset_import: ["": {opset}]> graph ({inputs}) => ({results}) {{ {body} }}'
    model = parser.parse_model(text)
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    model = onnx.shape_inference.infer_shapes(model)
    for value in model.graph.output:  # group normalization has no inference of shapes
        if not value.type.tensor_type.HasField("shape"):
            value.type.CopyFrom(model.graph.input[0].type)
    before = model.SerializeToString()
    fused = fastnorm.onnx.convert(model)
    assert model.SerializeToString() == before, "the given model stays as it is"
    assert [f"{node.domain}.{node.op_type}".strip(".") for node in fused.graph.node] == expected
    if opset > 20:  # the checker refuses group normalization before
        onnx.checker.check_model(fused)
    rng = np.random.default_rng(0)
    values = {
        value.name: rng.normal(size=[d.dim_value or 2 for d in value.type.tensor_type.shape.dim]).astype(np.float32)
        for value in model.graph.input
    }
    results = [ReferenceEvaluator(m, new_ops=fastnorm.onnx.reference_ops()).run(None, values) for m in (model, fused)]
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-5)
    return fused


@pytest.mark.parametrize(
    ("activation", "name"),
    [
        ("y = Relu (n)", "relu"),
        ("g = Sigmoid (n) y = Mul (n, g)", "silu"),
        ("g = Sigmoid (n) y = Mul (g, n)", "silu"),
        ("y = Gelu (n)", "gelu"),
        ('y = Gelu <approximate = "tanh"> (n)', "gelu_tanh"),
    ],
)
@pytest.mark.parametrize(
    ("norm", "inputs"),
    [
        ("n = LayerNormalization <axis = 1, epsilon = 0.01> (x, s)", "float[N, 3, 8] x, float[3, 8] s"),
        ("n = RMSNormalization <epsilon = 0.01> (x, s)", ROWS),
        ("n = GroupNormalization <num_groups = 2, epsilon = 0.01> (x, s, b)", IMAGE),
        ("n = InstanceNormalization <epsilon = 0.01> (x, s, b)", IMAGE),
    ],
)
def test_norm_and_activation(norm: str, inputs: str, activation: str, name: str) -> None:
    op = norm.split()[2]
    fused = check(inputs, f"{norm} {activation}", [f"fastnorm.{op}"])
    (attribute,) = (a for a in fused.graph.node[0].attribute if a.name == "activation")
    assert attribute.s.decode() == name


def test_sum_and_norm() -> None:
    check(ROWS, "h = Add (x, r) y = LayerNormalization (h, s, b)", [f"fastnorm.{SKIP}"])
    check(ROWS, "h = Add (x, r) y = LayerNormalization <axis = 2, epsilon = 0.1> (h, s)", [f"fastnorm.{SKIP}"])
    check(ROWS, "h = Add (x, r) y = RMSNormalization <epsilon = 0.1> (h, s)", [f"fastnorm.{SIMPLE}"])


def test_a_sum_that_is_read_elsewhere() -> None:
    body = "h = Add (x, r) z = Neg (h) y = LayerNormalization (h, s, b)"
    check(ROWS, body, [f"fastnorm.{SKIP}", "Neg"], outputs="y z")
    check(ROWS, "h = Add (x, r) y = RMSNormalization (h, s)", [f"fastnorm.{SIMPLE}"], outputs="y h")


@pytest.mark.parametrize(
    ("inputs", "body", "outputs"),
    [
        (ROWS, "n = LayerNormalization (x, s, b) y = Relu (n)", "y n"),
        (ROWS, "n = LayerNormalization (x, s, b) g = Sigmoid (n) y = Mul (n, r)", "y g"),
        (ROWS, "n = LayerNormalization (x, s, b) y = Tanh (n)", "y"),
        ("float[N, 3, 8] x, float[8] r, float[8] s", "h = Add (x, r) y = LayerNormalization (h, s)", "y"),
        (
            "float[N, 3, 8] x, float[N, 3, 8] r, float[3, 8] s",
            "h = Add (x, r) y = LayerNormalization <axis = 1> (h, s)",
            "y",
        ),
        (ROWS, "h = Add (x, r) y, m = LayerNormalization (h, s, b)", "y m"),
        (ROWS, "h = Add (x, r) t = Exp (s) y = LayerNormalization (h, t, b)", "y"),
    ],
)
def test_what_stays(inputs: str, body: str, outputs: str) -> None:
    ops = [word for word in body.replace("(", " ").split() if word[0].isupper()]
    check(inputs, body, ops, outputs=outputs)


def test_group_norm_with_scales_of_groups_stays() -> None:
    body = "n = GroupNormalization <num_groups = 2> (x, s, b) y = Relu (n)"
    check("float[N, 8, 4, 4] x, float[2] s, float[2] b", body, ["GroupNormalization", "Relu"], opset=18)


def test_values_that_branches_read_stay() -> None:
    body = """
        n = LayerNormalization (x, s, b)
        y = Relu (n)
        c = Constant <value = bool {1}> ()
        z = If (c) <then_branch = then () => (float[N, 3, 8] t) { t = Neg (n) },
                    else_branch = otherwise () => (float[N, 3, 8] e) { e = Exp (n) }>
    """
    check(ROWS, body, ["LayerNormalization", "Relu", "Constant", "If"], outputs="y z")


def test_other_things_are_refused() -> None:
    with pytest.raises(TypeError, match=r"model must be an onnx\.ModelProto, got str"):
        fastnorm.onnx.convert("model.onnx")
