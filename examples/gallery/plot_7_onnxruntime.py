"""
A session of ONNX Runtime, accelerated
======================================

`fastnorm.onnx.register(options)` gives the sessions of these options fastnorm's kernels; the model stays as it is.
`fastnorm.onnx.convert(model)` also fuses each norm with its activation. The model here is a residual block as diffusion
models have it, from `examples/peers/onnxruntime_unet.py`; :doc:`/peers/onnxruntime` says for which models it is worth
it.
"""

from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
from onnx import helper
from onnxruntime_unet import block, session
from sklearn.datasets import load_sample_images

import fastnorm as fn
import fastnorm.onnx

# %%
# A photograph, whose three colours and their products become 64 channels of 64 x 64:

photograph = load_sample_images().images[1][:256:4, :256:4].astype(np.float32) / 255
mixing = np.random.default_rng(0).normal(size=(3, 64)).astype(np.float32)
x = np.ascontiguousarray(np.moveaxis(np.tanh(photograph @ mixing), -1, 0)[None])

model = block(channels=64, size=64)
converted = fastnorm.onnx.convert(model)
print("before:", [node.op_type for node in model.graph.node])
print("after: ", [node.op_type for node in converted.graph.node])

# %%
# The same numbers, in less time. On one thread each, since neither knows of the other's:

threads = fn.get_num_threads()
fn.set_num_threads(1)

sessions = {
    "ONNX Runtime": session(model, with_fastnorm=False, threads=1),
    "with fastnorm": session(model, with_fastnorm=True, threads=1),
    "converted": session(converted, with_fastnorm=True, threads=1),
}


def fastest(sessions, rounds=25):
    """Seconds of the fastest run of each session; they take turns: other work on the machine meets all alike."""
    best = dict.fromkeys(sessions, np.inf)
    for _ in range(rounds):
        for name, one in sessions.items():
            start = perf_counter()
            one.run(None, {"x": x})
            best[name] = min(best[name], perf_counter() - start)
    return best


results = {name: one.run(None, {"x": x})[0] for name, one in sessions.items()}
difference = max(np.abs(y - results["ONNX Runtime"]).max() for y in results.values())
print(f"largest difference: {difference:.1e} of numbers up to {np.abs(results['ONNX Runtime']).max():.1f}")
whole = fastest(sessions)

# %%
# Most of a block is convolutions, which do not change. The norms alone, as a model of one node:

nodes = [node for node in model.graph.node if node.op_type == "GroupNormalization"][:1]
nodes[0].output[0] = "y"
graph = helper.make_graph(nodes, "norm", model.graph.input, model.graph.output, model.graph.initializer[:2])
norm = helper.make_model(graph, opset_imports=model.opset_import, ir_version=10)
alone = fastest({name: session(norm, with_fastnorm=name != "ONNX Runtime", threads=1) for name in list(sessions)[:2]})
fn.set_num_threads(threads)

figure, panels = plt.subplots(1, 2, figsize=(9, 2.6), layout="constrained")
for panel, title, seconds in zip(panels, ("the block", "one group norm"), (whole, alone), strict=True):
    bars = panel.barh(list(seconds), [1e3 * value for value in seconds.values()], color=["lightgray", "C0", "C2"])
    panel.bar_label(bars, fmt=" %.2f ms")
    panel.set(title=title, xlabel="ms", xlim=(0, 1.3e3 * max(seconds.values())))
    panel.invert_yaxis()
plt.show()
