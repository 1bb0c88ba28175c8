"""
Data-parallel batch norm
========================

With a batch spread over many ranks, each rank's part has few samples, and batch norm's statistics become noise.
`fastnorm.distributed` takes them over all parts, with any `allgather`. Here 32 ranks are threads of one process;
over MPI the same program is `examples/train_digits_over_ranks.py`.
"""

import threading

import matplotlib.pyplot as plt
import numpy as np
from threadpoolctl import threadpool_limits

import fastnorm as fn
from digits.training import BATCH, load
from train_digits_over_ranks import network_over, step

RANKS, EPOCHS = 32, 3
data = load()
images, tests = data.images.astype(np.float64), data.test_images.astype(np.float64)

# %%
# An exchange among threads: all put down what they have, wait for each other, and read the list.


class Exchange:
    """Gather one object from every thread."""

    def __init__(self, size):
        self.parts, self.barrier = [None] * size, threading.Barrier(size)

    def allgather(self, rank):
        def gather(value):
            self.parts[rank] = value
            self.barrier.wait()
            parts = list(self.parts)
            self.barrier.wait()
            return parts

        return gather


# %%
# The network is trained three times: in one process with whole batches of 64; on 32 ranks of two images each,
# with every rank's own statistics; and with statistics over all ranks. Gradients are added up in every case.


def train(size, synchronized):
    """Train one copy of the network on every rank; the accuracies of the first after every epoch, and its weights."""
    exchange, accuracies, weights = Exchange(size), [], []

    def rank_program(rank):
        allgather = exchange.allgather(rank)
        network = network_over(allgather if synchronized else lambda value: [value])
        for epoch in range(EPOCHS):
            order = np.random.default_rng(epoch).permutation(len(images))
            network.train()
            for start in range(0, len(order) - BATCH + 1, BATCH):
                part = np.array_split(order[start : start + BATCH], size)[rank]
                step(network, images[part], data.labels[part], BATCH, allgather)
            network.train(False)
            if rank == 0:
                accuracies.append((network(tests).argmax(axis=1) == data.test_labels).mean())
        if rank == 0:
            weights.extend(p for layer in network.layers for p in layer.parameters().values())

    def limited(rank):
        with fn.threads(1):
            rank_program(rank)

    threads = [threading.Thread(target=limited, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return accuracies, np.concatenate([p.ravel() for p in weights])


with threadpool_limits(1):
    runs = {
        "one process": train(1, synchronized=False),
        f"{RANKS} ranks, own statistics": train(RANKS, synchronized=False),
        f"{RANKS} ranks, statistics over all": train(RANKS, synchronized=True),
    }

expected = runs["one process"][1]
for name, (accuracies, weights) in runs.items():
    print(f"{name:32} accuracy {accuracies[-1]:.1%}, weights differ by {np.abs(weights - expected).max():.1e}")

# %%
# With statistics over all ranks the weights are those of one process, to rounding: its line lies on the other.

figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
for (name, (accuracies, _)), style in zip(runs.items(), ("k-", "C3o-", "C0o--"), strict=True):
    axes.plot(1 + np.arange(EPOCHS), accuracies, style, label=name, linewidth=2)
axes.set(xlabel="epoch", ylabel="accuracy on test images", xticks=1 + np.arange(EPOCHS))
axes.grid(alpha=0.3)
axes.legend()
plt.show()
