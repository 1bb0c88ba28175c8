"""A block of a U-Net in ONNX Runtime: group norm, SiLU and convolution, without fastnorm and with it.

A third session runs the converted model, in which each norm and its SiLU are one node of the domain `fastnorm`.
"""

import argparse
from timeit import repeat

import numpy as np
import onnxruntime
from onnx import ModelProto, TensorProto, helper, numpy_helper

import fastnorm.onnx

GROUPS = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small image, two runs")
    quick = parser.parse_args().quick
    channels, size, rounds = (64, 16, 2) if quick else (320, 64, 20)

    x = np.random.default_rng(0).normal(size=(1, channels, size, size)).astype(np.float32)
    model = block(channels, size)
    sessions = {
        "without": session(model, with_fastnorm=False),
        "with fastnorm": session(model, with_fastnorm=True),
        "converted": session(fastnorm.onnx.convert(model), with_fastnorm=True),
    }
    results = {name: one.run(None, {"x": x})[0] for name, one in sessions.items()}
    for name, one in sessions.items():
        seconds = min(repeat(lambda one=one: one.run(None, {"x": x}), number=1, repeat=rounds))
        print(f"{name:14} {seconds * 1e3:.1f} ms")
    print(f"largest difference {max(np.abs(results['without'] - y).max() for y in results.values()):.1e}")


def session(model: ModelProto, *, with_fastnorm: bool, threads: int = 0) -> onnxruntime.InferenceSession:
    """A session; 0 threads are as many as ONNX Runtime chooses."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    if with_fastnorm:
        fastnorm.onnx.register(options)
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def block(channels: int, size: int) -> ModelProto:
    """Return twice group norm, SiLU and a convolution, added to the input: what diffusion models consist of."""
    rng = np.random.default_rng(1)
    nodes, weights, before = [], {}, "x"
    for k in (1, 2):
        weights[f"scale{k}"], weights[f"bias{k}"] = rng.normal(1, 0.1, channels), rng.normal(0, 0.1, channels)
        weights[f"kernel{k}"] = rng.normal(0, 0.3 / channels**0.5, (channels, channels, 3, 3))
        nodes += [
            helper.make_node("GroupNormalization", [before, f"scale{k}", f"bias{k}"], [f"norm{k}"], num_groups=GROUPS),
            helper.make_node("Sigmoid", [f"norm{k}"], [f"gate{k}"]),
            helper.make_node("Mul", [f"norm{k}", f"gate{k}"], [f"silu{k}"]),
            helper.make_node("Conv", [f"silu{k}", f"kernel{k}"], [f"conv{k}"], pads=[1, 1, 1, 1]),
        ]
        before = f"conv{k}"
    nodes.append(helper.make_node("Add", ["x", before], ["y"]))
    shape = [1, channels, size, size]
    graph = helper.make_graph(
        nodes,
        "block",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(a.astype(np.float32), name) for name, a in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


if __name__ == "__main__":
    main()
