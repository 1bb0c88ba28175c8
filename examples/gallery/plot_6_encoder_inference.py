"""
Inference of a transformer encoder
==================================

A pretrained encoder, its weights read from an ONNX file, computed in NumPy: what its norms cost, written in NumPy and
called in fastnorm, and whether the embeddings are those of ONNX Runtime. The program: `examples/encoder_inference.py`.
"""

import time

import matplotlib.pyplot as plt
import numpy as np
from threadpoolctl import threadpool_limits

import fastnorm as fn
from encoder import norms, weights
from encoder.model import Encoder
from encoder.sentences import SENTENCES
from encoder_inference import distances, exported, tokens

path = weights.shipped(*weights.GRAPH)
encoder, tokenizer = Encoder(*weights.parameters(path)), weights.tokenizer(128)

# %%
# Twelve pairs of sentences. Cosine distance of their embeddings to those of the exported graph:

ids, mask = tokens(tokenizer, list(SENTENCES))
expected = exported(path, ids, mask, threads=2)
embeddings = encoder(ids, mask, norms.with_fastnorm)
print(f"at most {distances(embeddings, expected).max():.1e}")

# %%
# And which of them are near each other: the darkest squares beside the diagonal are the pairs of one meaning.

unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
figure, axes = plt.subplots(figsize=(9, 4.8), layout="constrained")
image = axes.imshow(unit @ unit.T, cmap="Blues", vmin=0, vmax=1)
axes.set_yticks(range(0, len(SENTENCES), 2), [sentence[:30] for sentence in SENTENCES[::2]], fontsize=8)
axes.set_xticks([])
figure.colorbar(image, label="cosine similarity", shrink=0.7)
plt.show()

# %%
# What the norms cost: eight texts of 128 tokens, one thread, the fastest of five runs. fastnorm adds the residual and
# normalizes in one pass, into memory that is there.

long = [" ".join(SENTENCES[i:] + SENTENCES) for i in range(8)]
ids, mask = tokens(tokenizer, long)
ways = {"NumPy": norms.with_numpy, "fastnorm": norms.with_fastnorm}
whole, inside = ({name: [] for name in ways} for _ in range(2))
with fn.threads(1), threadpool_limits(1):
    for _ in range(5):
        for name, way in ways.items():
            costs = norms.Costs(way)
            start = time.perf_counter()
            encoder(ids, mask, costs)
            whole[name].append(time.perf_counter() - start)
            inside[name].append(costs.seconds)

figure, axes = plt.subplots(figsize=(8, 2.2), layout="constrained")
for row, name in enumerate(ways):
    total, part = 1e3 * min(whole[name]), 1e3 * min(inside[name])
    axes.barh(row, part, color="C3", label="norms and residual sums" if row == 0 else None)
    axes.barh(row, total - part, left=part, color="lightgray", label="everything else" if row == 0 else None)
    axes.text(total, row, f" norms {part:.1f} ms", va="center")
axes.set_yticks(range(len(ways)), list(ways))
axes.set(xlabel="ms", xlim=(0, 1250 * max(min(times) for times in whole.values())))
axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.35), ncols=2, frameon=False)
plt.show()
