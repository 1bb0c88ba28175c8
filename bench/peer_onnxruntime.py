"""ONNX Runtime on the CPU: inference of one operator of ONNX, in memory that is bound before."""

from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from candidate import Candidate
from problems import Array, Problem

_TYPES = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.float64): TensorProto.DOUBLE}
_IR_VERSION = 10  # the newest that the oldest supported runtime reads


class OnnxRuntime:
    """ONNX Runtime: inference, channel first."""

    name = "ONNX Runtime"
    version: str = onnxruntime.__version__
    counterpart = "fastnorm, out="

    def candidate(self, problem: Problem, threads: int) -> Candidate | None:
        """Return the call, if there is an operator for it and a kernel for the operator."""
        if problem.direction != "inference" or not has_operator(problem.op) or problem.data.dtype not in _TYPES:
            return None
        last = problem.op in ("layer_norm", "rms_norm")
        if problem.axis != (problem.data.ndim - 1 if last else 1):
            return None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4
        try:
            session = onnxruntime.InferenceSession(model(problem), options, providers=["CPUExecutionProvider"])
        except onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented:
            return None
        out = np.empty(problem.data.shape, problem.data.dtype)
        binding = session.io_binding()
        for bind, name, array in ((binding.bind_input, "x", problem.data), (binding.bind_output, "y", out)):
            bind(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
        return Candidate(lambda: session.run_with_iobinding(binding), lambda _: _kept(out, session, binding))


def _kept(out: Array, *_: Any) -> Array:
    """Return the output; the other arguments live as long as who asks."""
    return out


def has_operator(op: str) -> bool:
    """Say whether this version of ONNX has an operator for an operation."""
    return op in OPERATORS and OPERATORS[op][1] <= onnx.defs.onnx_opset_version()


def model(problem: Problem) -> bytes:
    """Return a model of one operator, serialized; the operation has to be one of `OPERATORS`."""
    operator, opset, inputs, attributes = OPERATORS[problem.op]
    kind, shape = _TYPES[problem.data.dtype], problem.data.shape
    if problem.op == "group_norm":
        attributes = {**attributes, "num_groups": problem.arguments["num_groups"]}
    constants = [numpy_helper.from_array(problem.arguments[name], name) for name in inputs]
    node = helper.make_node(operator, ["x", *inputs], ["y"], **attributes)
    x, y = (helper.make_tensor_value_info(name, kind, shape) for name in "xy")
    graph = helper.make_graph([node], operator, [x], [y], constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=_IR_VERSION)
    onnx.checker.check_model(made)
    serialized: bytes = made.SerializeToString()
    return serialized


_AFFINE = ("weight", "bias")
OPERATORS: dict[str, tuple[str, int, tuple[str, ...], dict[str, Any]]] = {
    "batch_norm": ("BatchNormalization", 15, (*_AFFINE, "running_mean", "running_var"), {"epsilon": 1e-5}),
    "layer_norm": ("LayerNormalization", 17, _AFFINE, {"epsilon": 1e-5, "axis": -1}),
    "rms_norm": ("RMSNormalization", 23, ("weight",), {"epsilon": 1e-6, "axis": -1}),
    "group_norm": ("GroupNormalization", 21, _AFFINE, {"epsilon": 1e-5}),
    "instance_norm": ("InstanceNormalization", 6, _AFFINE, {"epsilon": 1e-5}),
}
