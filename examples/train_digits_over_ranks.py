"""Train the network of train_digits.py data-parallel over MPI, with batch norm over all ranks.

    mpirun -n 2 python examples/train_digits_over_ranks.py

Every rank has its part of each batch. Batch norm takes its statistics over all parts, and gradients are added up over
the ranks, so that the network becomes what one process makes of the whole batches: the first rank trains that one, too,
and compares.
"""

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

import fastnorm as fn
from digits.layers import Array, Arrays, Conv, Dense, softmax_cross_entropy
from digits.network import Method, Network, Stage
from digits.training import BATCH, Data, load
from fastnorm.distributed import sync_batch_norm_backward, sync_batch_norm_forward

RATE = 0.2
Allgather = Callable[[Any], list[Any]]


class SyncBatchNorm:
    """Batch normalization over ranks, a layer of the network."""

    def __init__(self, channels: int, allgather: Allgather) -> None:
        self.weight, self.bias = np.ones(channels), np.zeros(channels)
        self.running_mean, self.running_var = np.zeros(channels), np.ones(channels)
        self.allgather, self.training = allgather, True

    def __call__(self, x: Array) -> Array:
        if not self.training:
            return fn.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, axis=-1)
        buffers = self.running_mean, self.running_var
        y, *statistics = sync_batch_norm_forward(x, self.weight, self.bias, *buffers, axis=-1, allgather=self.allgather)
        self.saved = x, self.weight.copy(), *statistics
        return y

    def backward(self, dy: Array) -> Array:
        dx, self.dweight, self.dbias = sync_batch_norm_backward(dy, *self.saved, axis=-1, allgather=self.allgather)
        return dx

    def parameters(self) -> Arrays:
        return {"weight": self.weight, "bias": self.bias}

    def gradients(self) -> Arrays:
        return {"weight": self.dweight, "bias": self.dbias}

    def train(self, mode: bool = True) -> None:
        self.training = mode


def network_over(allgather: Allgather) -> Network:
    """The network in float64, in which rounding is small enough to compare networks after training."""

    def batch_norm(stage: Stage) -> SyncBatchNorm:
        return SyncBatchNorm(stage.channels, allgather)

    network = Network(Method("batch norm over ranks", batch_norm), seed=0)
    for layer in network.layers:
        if isinstance(layer, Conv | Dense):
            layer.weight.weight = layer.weight.weight.astype(np.float64)
            layer.bias = layer.bias.astype(np.float64)
    return network


def step(network: Network, x: Array, labels: Array, whole: int, allgather: Allgather) -> None:
    """One step of gradient descent on this rank's part of a batch of `whole` images."""
    _, gradient = softmax_cross_entropy(network(x), labels)
    gradient *= len(labels) / whole  # the mean over the batch, not over the part
    for layer in reversed(network.layers):
        gradient = layer.backward(gradient)
    parts = allgather([layer.gradients() for layer in network.layers])
    for layer, *gradients in zip(network.layers, *parts, strict=True):
        for name, parameter in layer.parameters().items():
            parameter -= RATE * sum(part[name] for part in gradients)


def train(data: Data, epochs: int, rank: int, size: int, allgather: Allgather) -> Network:
    """Train one of `size` copies of the network."""
    network = network_over(allgather)
    images = data.images.astype(np.float64)
    for epoch in range(epochs):
        order = np.random.default_rng(epoch).permutation(len(images))
        for start in range(0, len(order) - BATCH + 1, BATCH):
            part = np.array_split(order[start : start + BATCH], size)[rank]
            step(network, images[part], data.labels[part], BATCH, allgather)
    network.train(False)
    return network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--quick", action="store_true", help="one epoch of four batches")
    options = parser.parse_args()
    epochs = 1 if options.quick else options.epochs
    from mpi4py import MPI  # here: what is above needs no MPI, and others import it

    comm, data = MPI.COMM_WORLD, load()
    if options.quick:
        data = data._replace(images=data.images[: 4 * BATCH], labels=data.labels[: 4 * BATCH])
    with fn.threads(1), threadpool_limits(1):
        network = train(data, epochs, comm.rank, comm.size, comm.allgather)
        guesses = network(data.test_images.astype(np.float64)).argmax(axis=1)
        if comm.rank == 0:
            alone = train(data, epochs, 0, 1, lambda value: [value])
            weights, expected = (
                np.concatenate([p.ravel() for layer in n.layers for p in layer.parameters().values()])
                for n in (network, alone)
            )
            print(f"{comm.size} ranks, {epochs} epochs: test accuracy {(guesses == data.test_labels).mean():.1%}")
            print(
                f"largest difference of {weights.size} weights to one process: {np.abs(weights - expected).max():.1e}"
            )


if __name__ == "__main__":
    main()
