"""OpenVINO on the CPU, whose kernels are oneDNN's and its own: inference of the same one-operator models of ONNX."""

import numpy as np
import openvino
import openvino.properties
import openvino.properties.hint

from candidate import Candidate
from peer_onnxruntime import has_operator, model
from problems import Problem


class OpenVino:
    """OpenVINO: inference, channel first, in memory that is bound before."""

    name = "OpenVINO"
    version: str = openvino.__version__.split("-")[0]
    counterpart = "fastnorm, out="

    def candidate(self, problem: Problem, threads: int) -> Candidate | None:
        """Return the call, if there is an operator for it."""
        if problem.direction != "inference" or not has_operator(problem.op) or problem.data.dtype != np.float32:
            return None
        last = problem.op in ("layer_norm", "rms_norm")
        if problem.axis != (problem.data.ndim - 1 if last else 1):
            return None
        core = openvino.Core()
        try:
            graph = core.read_model(model(problem))
        except RuntimeError:  # an operator that its reader of ONNX does not know
            return None
        # In float32 proper, on so many threads: as all others.
        options = {
            openvino.properties.inference_num_threads: threads,
            openvino.properties.hint.inference_precision: openvino.Type.f32,
            openvino.properties.hint.performance_mode: openvino.properties.hint.PerformanceMode.LATENCY,
        }
        request = core.compile_model(graph, "CPU", options).create_infer_request()
        out = np.empty(problem.data.shape, problem.data.dtype)
        request.set_input_tensor(openvino.Tensor(problem.data, shared_memory=True))
        request.set_output_tensor(openvino.Tensor(out, shared_memory=True))
        return Candidate(request.infer, lambda _: out)
