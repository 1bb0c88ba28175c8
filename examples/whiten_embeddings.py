"""Whiten the embeddings of sentences: cosine similarities before and after (BERT whitening).

Embeddings of a transformer that was not trained for it lie in a narrow cone: all sentences are similar. This model was
trained for similarity, so its cosines are spread already, and the picture shows what whitening by few sentences of
another kind costs, and how shrinkage and whitening in part keep that small. The map is fitted to sentences from
descriptions of data sets, in batches of fewer sentences than an embedding has numbers, and applied to pairs of
paraphrases that it has not seen.
"""

import argparse
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from sklearn import datasets

import fastnorm as fn
from encoder import norms, weights
from encoder.model import Encoder
from encoder.sentences import SENTENCES

Array = npt.NDArray[Any]

BATCH = 32  # sentences
TOKENS = 32  # of a sentence, at most
LOADERS = ("iris", "diabetes", "digits", "linnerud", "wine", "breast_cancer")


class Similarities(NamedTuple):
    """Cosines of all pairs of the sentences: those of the same meaning, and the others."""

    title: str
    matrix: Array

    @property
    def same(self) -> Array:
        return np.diag(self.matrix, 1)[::2]

    @property
    def others(self) -> Array:
        rows, columns = np.triu_indices(len(self.matrix), 1)
        return self.matrix[rows, columns][rows // 2 != columns // 2]

    @property
    def distance(self) -> float:
        """Of the means of both kinds, in standard deviations of the others."""
        return float((self.same.mean() - self.others.mean()) / self.others.std())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("whiten-embeddings.png"), metavar="FILE.png")
    parser.add_argument("--quick", action="store_true", help="fit to half of the sentences")
    options = parser.parse_args()

    encoder = Encoder(*weights.parameters(weights.shipped(*weights.GRAPH)))
    sentences = corpus()[:: 2 if options.quick else 1]
    ways: dict[str, dict[str, Any]] = {
        "shrinkage by Ledoit and Wolf": {"method": "zca", "shrinkage": "ledoit-wolf"},
        "in part, power 0.5": {"method": "zca", "shrinkage": "ledoit-wolf", "power": 0.5},
        "64 principal components": {"method": "pca", "n_components": 64},
    }
    embeddings = embed(encoder, list(SENTENCES))
    found = [similarities("as they are", embeddings)]
    batches = [embed(encoder, sentences[i : i + BATCH]) for i in range(0, len(sentences), BATCH)]
    for title, way in ways.items():
        fit = fn.fit_whitening(batches[0], **way)
        for batch in batches[1:]:
            fit.update(batch)
        found.append(similarities(title, fit.transform(embeddings)))
    print(f"{fit.samples} sentences of {embeddings.shape[1]} numbers in {len(batches)} batches, solver {fit.solver}")
    print("whitened                        paraphrases     others          apart   nearest is the paraphrase")
    for result in found:
        nearest = np.argmax(result.matrix - 2 * np.eye(len(SENTENCES)), axis=1) == np.arange(len(SENTENCES)) ^ 1
        spreads = "   ".join(f"{kind.mean():.2f} +- {kind.std():.2f}" for kind in (result.same, result.others))
        print(f"{result.title:<30}  {spreads}   {result.distance:5.1f}   {nearest.sum()} of {len(nearest)}")
    draw(found).savefig(options.output)
    print(f"picture: {options.output}")


def corpus() -> list[str]:
    """Sentences of the descriptions that come with the data sets of scikit-learn."""
    texts = [getattr(datasets, f"load_{name}")().DESCR for name in LOADERS]
    parts = [part for text in texts for part in re.split(r"(?<=[.:?])\s+|\n\s*\n|\n *[-*:|]", text)]
    clean = (" ".join(re.sub(r"[^\w\s.,;:'()%/-]", " ", part).split()) for part in parts)
    return list(dict.fromkeys(sentence for sentence in clean if len(sentence.split()) >= 4))


def embed(encoder: Encoder, sentences: list[str]) -> Array:
    """A row for every sentence."""
    encoded = weights.tokenizer(TOKENS).encode_batch(sentences)
    ids, mask = np.array([one.ids for one in encoded]), np.array([one.attention_mask for one in encoded])
    return encoder(ids, mask, norms.with_fastnorm)


def similarities(title: str, embeddings: Array) -> Similarities:
    """Cosines of all pairs."""
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    return Similarities(title, unit @ unit.T)


def draw(found: list[Similarities]) -> Figure:
    """The cosines as a matrix, and their distribution."""
    figure = Figure(figsize=(5 * len(found), 10), dpi=90, layout="constrained")
    figure.suptitle("Cosine similarities of sentences, two of each meaning", fontsize=17)
    top, bottom = figure.subplots(2, len(found))
    edges = np.linspace(-0.5, 1, 46)
    for matrix, histogram, result in zip(top, bottom, found, strict=True):
        image = matrix.imshow(result.matrix, cmap="viridis", vmin=-0.5, vmax=1, interpolation="nearest")
        matrix.set(title=result.title, xticks=[], yticks=[])
        histogram.hist(result.others, edges, density=True, color="#7f8c8d", label="others")
        histogram.hist(result.same, edges, density=True, color="#c0392b", alpha=0.7, label="paraphrases")
        histogram.set(xlabel=f"cosine; {result.distance:.1f} standard deviations apart", yticks=[])
    bottom[0].legend(loc="upper left")
    figure.colorbar(image, ax=top, fraction=0.02)
    return figure


if __name__ == "__main__":
    main()
