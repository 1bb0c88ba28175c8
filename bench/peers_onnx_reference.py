"""ONNX's reference evaluator with its own operators and with `fastnorm.onnx.reference_ops()`: one node each."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import fastnorm.onnx
from with_without import compare, heading

IMAGE, ROWS = (2, 320, 64, 64), (512, 768)
NODES: tuple[tuple[str, tuple[int, ...], int, dict[str, Any]], ...] = (
    ("GroupNormalization", IMAGE, 2, {"num_groups": 32}),
    ("InstanceNormalization", IMAGE, 2, {}),
    ("BatchNormalization", IMAGE, 4, {}),
    ("LayerNormalization", ROWS, 2, {}),
    ("LayerNormalization", (1, 768), 2, {}),
    ("RMSNormalization", ROWS, 1, {}),
    ("LpNormalization", ROWS, 0, {}),
    ("MeanVarianceNormalization", IMAGE, 0, {}),
)


def main() -> None:
    heading("onnx", onnx.__version__)
    for op, shape, parameters, attributes in NODES:
        x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        model = one_node(op, shape, parameters, attributes)
        plain = ReferenceEvaluator(model)
        fast = ReferenceEvaluator(model, new_ops=fastnorm.onnx.reference_ops())
        assert np.allclose(plain.run(None, {"x": x})[0], fast.run(None, {"x": x})[0], rtol=1e-3, atol=1e-4)
        name = f"{op} {'x'.join(map(str, shape))}"
        compare(name, partial(plain.run, None, {"x": x}), partial(fast.run, None, {"x": x}))


def one_node(op: str, shape: tuple[int, ...], parameters: int, attributes: dict[str, Any]) -> onnx.ModelProto:
    channels = shape[1]
    weights = [
        numpy_helper.from_array(np.linspace(0.5, 2, channels, dtype=np.float32), f"p{k}") for k in range(parameters)
    ]
    names = ["x", *(w.name for w in weights)]
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in "xy"]
    graph = helper.make_graph([helper.make_node(op, names, ["y"], **attributes)], "node", value[:1], value[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=10)


if __name__ == "__main__":
    main()
