"""Training on handwritten digits: all methods in turns, so that other work on the machine meets all alike."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from .layers import Array
from .network import METHODS, Method, Network

BATCH = 64
TEST = 450  # images


class Data(NamedTuple):
    """Images (n, 8, 8, 1) of levels from 0 to 1, and which digit each is."""

    images: Array
    labels: Array
    test_images: Array
    test_labels: Array


@dataclass
class Run:
    """A network in training."""

    method: Method
    rate: float
    seed: int
    network: Network = field(init=False)
    losses: list[float] = field(default_factory=list)  # of every batch
    accuracies: list[float] = field(default_factory=list)  # on the test images, after every epoch
    growth: list[float] = field(default_factory=list)  # of the directions of weight norm, after every epoch
    seconds: list[float] = field(default_factory=list)  # of every step, processor time

    def __post_init__(self) -> None:
        self.network = Network(self.method, self.seed)
        self.first = [np.linalg.norm(v, axis=0) for v in self.network.directions()]

    def epoch(self, data: Data, number: int) -> None:
        """Train on every image once. The order of the images depends on seed and number alone."""
        order = np.random.default_rng([self.seed, number]).permutation(len(data.images))
        batches = len(order) // BATCH
        self.network.train()
        for batch in order[: batches * BATCH].reshape(batches, BATCH):
            start = time.process_time()
            self.losses.append(self.network.step(data.images[batch], data.labels[batch], self.rate))
            self.seconds.append(time.process_time() - start)
        self.network.train(False)
        guesses = self.network(data.test_images).argmax(axis=1)
        self.accuracies.append(float((guesses == data.test_labels).mean()))
        now = [np.linalg.norm(v, axis=0) for v in self.network.directions()]
        ratios = [length / first for length, first in zip(now, self.first, strict=True)]
        self.growth.append(float(np.concatenate(ratios).mean()) if ratios else 1.0)


def load() -> Data:
    """Split the 1797 digits, with every digit's share in both parts."""
    digits = load_digits()
    images = (digits.images[..., None] / 16).astype(np.float32)
    x, test_x, y, test_y = train_test_split(
        images, digits.target, test_size=TEST, stratify=digits.target, random_state=0
    )
    return Data(x, y, test_x, test_y)


def train(
    data: Data, rates: Sequence[float], seeds: Sequence[int], epochs: int, progress: Callable[[float], None]
) -> dict[tuple[str, float], list[Run]]:
    """Train the network with every method, at every learning rate, from every seed: runs by method and rate."""
    runs = {(method.title, rate): [Run(method, rate, seed) for seed in seeds] for method in METHODS for rate in rates}
    for number in range(epochs):
        for i, group in enumerate(runs.values()):
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # at high rates some diverge
                for run in group:
                    run.epoch(data, number)
            progress((number + (i + 1) / len(runs)) / epochs)
    return runs
