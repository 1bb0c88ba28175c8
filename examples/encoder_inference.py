"""Run a pretrained transformer encoder in NumPy, with the layer norms of NumPy and of fastnorm.

The model is MiniLM from packages on PyPI. Its embeddings of real sentences are compared with ONNX Runtime's, which runs
the graph as it was exported; a table shows what share of the time and how much memory the normalizations take.
"""

import argparse
import time
import tracemalloc

import numpy as np
import onnxruntime
from threadpoolctl import threadpool_limits

import fastnorm as fn
from encoder import norms, weights
from encoder.model import Encoder
from encoder.sentences import SENTENCES

LIMIT = 1e-5  # of the cosine distance of two embeddings of a sentence
WAYS = {"NumPy": norms.with_numpy, "fastnorm": norms.with_fastnorm}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="how often the two ways take turns")
    parser.add_argument("--texts", type=int, default=32, help="texts of a batch that is timed")
    parser.add_argument("--threads", type=int, default=fn.get_num_threads())
    parser.add_argument("--quick", action="store_true", help="a few texts once")
    options = parser.parse_args()
    rounds, texts = (1, 4) if options.quick else (options.rounds, options.texts)

    path = weights.shipped(*weights.GRAPH)
    encoder, tokenizer = Encoder(*weights.parameters(path)), weights.tokenizer(128)
    with fn.threads(options.threads), threadpool_limits(options.threads):
        ids, mask = tokens(tokenizer, list(SENTENCES))
        expected = exported(path, ids, mask, options.threads)
        print(f"{len(SENTENCES)} sentences, {mask.sum()} tokens, {encoder.layers} layers of {expected.shape[1]} units")
        for name, way in WAYS.items():
            got = encoder(ids, mask, way)
            worst = distances(got, expected).max()
            print(f"with the norms of {name}: cosine distance to ONNX Runtime at most {worst:.1e}, {pairs(got)}")
            if not worst <= LIMIT:
                raise SystemExit(f"the embeddings differ by more than {LIMIT}")
        # The sentences, begun with another one each time, make texts of as many tokens as are looked at.
        long = [" ".join(SENTENCES[i % len(SENTENCES) :] + SENTENCES) for i in range(texts)]
        print_costs(encoder, *tokens(tokenizer, long), rounds, options.threads)


def tokens(tokenizer: weights.Tokenizer, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Token ids and what is no padding, of shape (texts, longest)."""
    encoded = tokenizer.encode_batch(texts)
    return np.array([one.ids for one in encoded]), np.array([one.attention_mask for one in encoded])


def exported(path: weights.Path, ids: np.ndarray, mask: np.ndarray, threads: int) -> np.ndarray:
    """The embeddings of the exported graph: the last of what it returns."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session.run(None, {"input_ids": ids, "attention_mask": mask})[-1]


def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cosine distances of the rows."""
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a.astype(np.float64), b.astype(np.float64)))
    return 1 - (a * b).sum(axis=1)


def pairs(embeddings: np.ndarray) -> str:
    """How many sentences have the one of the same meaning for their nearest."""
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    similar = unit @ unit.T
    np.fill_diagonal(similar, -1)
    found = similar.argmax(axis=1) == np.arange(len(unit)) ^ 1
    return f"{found.sum()} of {found.size} sentences find their paraphrase"


def print_costs(encoder: Encoder, ids: np.ndarray, mask: np.ndarray, rounds: int, threads: int) -> None:
    whole: dict[str, list[float]] = {name: [] for name in WAYS}
    inside: dict[str, list[float]] = {name: [] for name in WAYS}
    for i in range(rounds + 1):  # one before them warms up
        for name, way in WAYS.items():
            costs = norms.Costs(way)
            start = time.perf_counter()
            encoder(ids, mask, costs)
            if i:
                whole[name].append(time.perf_counter() - start)
                inside[name].append(costs.seconds)
    print(f"\n{ids.shape[0]} texts of {ids.shape[1]} tokens, threads: {threads}, medians of {rounds}")
    print("norms of      whole     norms    share   new memory of a norm")
    for name, way in WAYS.items():
        costs = norms.Costs(way)
        tracemalloc.start()
        encoder(ids, mask, costs)
        tracemalloc.stop()
        total, part = np.median(whole[name]), np.median(inside[name])
        print(f"{name:<9}{1e3 * total:7.1f} ms{1e3 * part:7.1f} ms{part / total:8.1%}{costs.bytes / 1024:13.1f} KiB")


if __name__ == "__main__":
    main()
