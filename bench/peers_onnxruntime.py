"""ONNX Runtime with its own operators and with `fastnorm.onnx.register`: one node each, and calls that are short."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
from onnx import ModelProto, TensorProto, helper, numpy_helper

import fastnorm as fn
import fastnorm.onnx
from with_without import compare, heading

IMAGE, ROWS = (2, 320, 64, 64), (512, 768)
NODES: tuple[tuple[str, tuple[int, ...], int, dict[str, Any]], ...] = (
    ("GroupNormalization", IMAGE, 2, {"num_groups": 32}),
    ("GroupNormalization", (1, 64, 16, 16), 2, {"num_groups": 32}),
    ("InstanceNormalization", (1, 64, 256, 256), 2, {}),
    ("InstanceNormalization", (1, 32, 32, 64, 64), 2, {}),
    ("LayerNormalization", ROWS, 2, {}),
    ("LayerNormalization", (64, 256), 2, {}),
    ("LayerNormalization", (4096, 768), 2, {}),
    ("LayerNormalization", (1, 768), 2, {}),
    ("RMSNormalization", ROWS, 1, {}),
    ("RMSNormalization", (1, 768), 1, {}),
)


def main() -> None:
    heading("onnxruntime", onnxruntime.__version__)
    for op, shape, parameters, attributes in NODES:
        x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        model = one_node(op, shape, parameters, attributes)
        calls = [bound(model, x, with_fastnorm=which) for which in (False, True)]
        compare(f"{op} {'x'.join(map(str, shape))}", *calls)


def bound(model: ModelProto, x: np.ndarray, *, with_fastnorm: bool) -> Any:
    """Return a call of a session whose input and output are bound, so that no copy is measured."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = fn.get_num_threads()
    if with_fastnorm:
        fastnorm.onnx.register(options)
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    binding.bind_ortvalue_input("x", onnxruntime.OrtValue.ortvalue_from_numpy(x))
    binding.bind_ortvalue_output("y", onnxruntime.OrtValue.ortvalue_from_numpy(np.empty_like(x)))
    return lambda: session.run_with_iobinding(binding)


def one_node(op: str, shape: tuple[int, ...], parameters: int, attributes: dict[str, Any]) -> ModelProto:
    weights = [
        numpy_helper.from_array(np.linspace(0.5, 2, shape[1], dtype=np.float32), f"p{k}") for k in range(parameters)
    ]
    names = ["x", *(w.name for w in weights)]
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in "xy"]
    graph = helper.make_graph([helper.make_node(op, names, ["y"], **attributes)], "node", value[:1], value[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=10)


if __name__ == "__main__":
    main()
