"""A block of a U-Net in ONNX's reference evaluator: group norm, SiLU and convolution, without fastnorm and with it."""

import argparse
from timeit import repeat

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import fastnorm.onnx

CHANNELS = 32
GROUPS = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small image, two runs")
    quick = parser.parse_args().quick
    size, rounds = (16, 2) if quick else (64, 10)

    model = block(CHANNELS, size)
    x = np.random.default_rng(0).normal(size=(1, CHANNELS, size, size)).astype(np.float32)
    sessions = {
        "without": ReferenceEvaluator(model),
        "with fastnorm": ReferenceEvaluator(model, new_ops=fastnorm.onnx.reference_ops()),
    }
    results = {name: session.run(None, {"x": x})[0] for name, session in sessions.items()}
    for name, session in sessions.items():
        seconds = min(repeat(lambda session=session: session.run(None, {"x": x}), number=1, repeat=rounds))
        print(f"{name:14} {seconds * 1e3:.1f} ms")
    difference = np.abs(results["without"] - results["with fastnorm"]).max()
    print(f"largest difference {difference:.1e}")


def block(channels: int, size: int) -> ModelProto:
    """Return twice group norm, SiLU and a convolution, added to the input: what diffusion models consist of."""
    rng = np.random.default_rng(1)
    nodes, weights, before = [], {}, "x"
    for k in (1, 2):
        weights[f"scale{k}"], weights[f"bias{k}"] = rng.normal(1, 0.1, channels), rng.normal(0, 0.1, channels)
        weights[f"kernel{k}"] = rng.normal(0, 0.06, (channels, channels, 3, 3))
        norm = [before, f"scale{k}", f"bias{k}"]
        nodes += [
            helper.make_node("GroupNormalization", norm, [f"norm{k}"], num_groups=GROUPS),
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
