"""ONNX's operators: the reference evaluator, the operators' own function bodies, and ONNX Runtime for its additions."""

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import defs, helper
from onnx.reference import ReferenceEvaluator

from .case import FIRST, Array, Case, data, numbers

_IR_VERSION = 10
# An operator's eps and momentum are float32 even where its data are float64.
_ATTRIBUTES = 1e-7


def _model(node: onnx.NodeProto, inputs: list[Array], opset: int, nodes: Any = None) -> onnx.ModelProto:
    kind = helper.np_dtype_to_tensor_dtype(inputs[0].dtype)
    given = [helper.make_tensor_value_info(n, kind, a.shape) for n, a in zip(node.input, inputs, strict=True)]
    results = [helper.make_tensor_value_info(name, kind, None) for name in node.output]
    opsets = [helper.make_opsetid("", opset)] + [helper.make_opsetid(node.domain, 1)] * bool(node.domain)
    graph = helper.make_graph(nodes or [node], "row", given, results)
    return helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)


def _node(op: str, inputs: list[Array], outputs: int, **attributes: Any) -> onnx.NodeProto:
    names = [f"in{i}" for i in range(len(inputs))], [f"out{i}" for i in range(outputs)]
    return helper.make_node(op, *names, **attributes)


def _evaluate(op: str, opset: int, *inputs: Array, outputs: int = 1, **attributes: Any) -> list[Array]:
    node = _node(op, list(inputs), outputs, **attributes)
    model = _model(node, list(inputs), opset)
    return ReferenceEvaluator(model).run(None, dict(zip(node.input, inputs, strict=True)))


def _by_its_function(op: str, opset: int, *inputs: Array, **attributes: Any) -> Array:
    """The result of the function that the standard defines an operator by, stage by stage."""
    if opset > defs.onnx_opset_version():
        pytest.skip(f"this onnx has no operators of opset {opset}")
    node = _node(op, list(inputs), 1, **attributes)
    types = [helper.make_tensor_type_proto(helper.np_dtype_to_tensor_dtype(a.dtype), a.shape) for a in inputs]
    body = defs.get_schema(op, opset).get_context_dependent_function_with_opset_version(
        opset, node.SerializeToString(), [t.SerializeToString() for t in types]
    )
    function = onnx.FunctionProto.FromString(body)
    inner = helper.make_node(op, function.input[: len(inputs)], function.output[:1])
    model = _model(inner, list(inputs), opset, list(function.node))
    return ReferenceEvaluator(model).run(None, dict(zip(inner.input, inputs, strict=True)))[0]


def _run(op: str, opset: int, *inputs: Array, domain: str = "", outputs: int = 1, **attributes: Any) -> list[Array]:
    import onnxruntime

    node = _node(op, list(inputs), outputs, domain=domain, **attributes)
    model = _model(node, list(inputs), opset).SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(None, dict(zip(node.input, inputs, strict=True)))


def onnx_batch_norm_training() -> Case:
    given = data(*FIRST)
    y, mean, var = _evaluate("BatchNormalization", 15, *given.values(), outputs=3, training_mode=1)
    return Case(given, {"y": y, "running_mean": mean, "running_var": var}, tolerance=_ATTRIBUTES)


def onnx_batch_norm() -> Case:
    given = data(*FIRST)
    return Case(given, {"y": _evaluate("BatchNormalization", 15, *given.values())[0]}, tolerance=_ATTRIBUTES)


def onnx_layer_norm() -> Case:
    x, weight, bias = numbers(4, 5, 3, scale=0.03), numbers(5, 3, seed=1), numbers(5, 3, seed=2)
    y, mean, rstd = _evaluate("LayerNormalization", 17, x, weight, bias, outputs=3, axis=1)
    return Case(
        {"x": x, "weight": weight, "bias": bias, "k": 1}, {"y": y, "mean": mean, "rstd": rstd}, tolerance=_ATTRIBUTES
    )


def _half() -> dict[str, Array]:
    x, weight, bias = numbers(64, 96), numbers(96, seed=1), numbers(96, seed=2)
    return {"x": x.astype(np.float16), "weight": weight.astype(np.float16), "bias": bias.astype(np.float16)}


def onnx_layer_norm_stages() -> Case:
    given = _half()
    y = _by_its_function("LayerNormalization", 17, *given.values(), axis=-1)
    return Case(given, {"y": y}, same_bits=True, near="fn.layer_norm(x, weight, bias)")


def onnxruntime_layer_norm() -> Case:
    given = _half()
    (y,) = _run("LayerNormalization", 17, *given.values())
    return Case(given, {"y": y}, same_bits=True, near="fn.layer_norm(x) * weight + bias")


def onnx_rms_norm() -> Case:
    given = _half()
    del given["bias"]
    y = _by_its_function("RMSNormalization", 23, *given.values(), axis=-1)
    return Case(given, {"y": y}, same_bits=True, near="fn.rms_norm(x, weight, eps=1e-5)")


def onnx_group_norm_18() -> Case:
    given = data(*FIRST, parameters=4) | {"groups": 4}
    y = _evaluate("GroupNormalization", 18, given["x"], given["weight"], given["bias"], num_groups=4)[0]
    return Case(given, {"y": y}, tolerance=_ATTRIBUTES)


def onnx_group_norm_21() -> Case:
    given = data(*FIRST) | {"groups": 4}
    y = _evaluate("GroupNormalization", 21, given["x"], given["weight"], given["bias"], num_groups=4)[0]
    return Case(given, {"y": y}, tolerance=1e-4)  # its first stage is float32 for all data


def onnx_instance_norm() -> Case:
    given = data(*FIRST)
    return Case(
        given,
        {"y": _evaluate("InstanceNormalization", 6, given["x"], given["weight"], given["bias"])[0]},
        tolerance=_ATTRIBUTES,
    )


def onnx_mean_variance_norm() -> Case:
    x = numbers(3, 8, 5, 4, scale=1e-7).astype(np.float32)  # float32, as the constants of the operator's function are
    return Case({"x": x}, {"y": _evaluate("MeanVarianceNormalization", 13, x)[0]}, tolerance=1e-4)


def _skip(op: str, *parameters: str) -> Case:
    x, skip = numbers(2, 2, 5, 16, scale=1e-6).astype(np.float32)
    weight, bias = numbers(2, 16, seed=1).astype(np.float32)
    given = {"x": x, "skip": skip, "weight": weight, "bias": bias}
    inputs = (x, skip, *(given[name] for name in parameters))
    # The sum is the last of its four results; those in between are statistics.
    y, _, _, h = _run(op, 21, *inputs, domain="com.microsoft", outputs=4)
    return Case(given, {"y": y, "h": h}, tolerance=1e-5)


def onnxruntime_skip_layer_norm() -> Case:
    return _skip("SkipLayerNormalization", "weight", "bias")


def onnxruntime_skip_rms_norm() -> Case:
    return _skip("SkipSimplifiedLayerNormalization", "weight")
