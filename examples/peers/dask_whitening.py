"""Whiten a corpus of embeddings that is larger than a worker's memory: files in blocks, over Dask.

Two worker processes read files of samples, fit a whitening to all of them, and write whitened files.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import dask.array as da
import numpy as np
from dask import compute, delayed
from dask.distributed import Client, LocalCluster

import fastnorm.dask


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=64, help="of 40 MB each")
    parser.add_argument("--quick", action="store_true", help="6 files of 1 MB")
    options = parser.parse_args()
    files, rows, features = (6, 1000, 256) if options.quick else (options.files, 40_000, 256)

    cluster = LocalCluster(n_workers=2, threads_per_worker=1, memory_limit="1GiB", dashboard_address=":0")
    with tempfile.TemporaryDirectory() as folder, cluster, Client(cluster) as client:
        shape = (rows, features)
        compute(*(delayed(write)(source(folder, i), i, shape) for i in range(files)))
        print(f"corpus: {files} files, {files * rows * features * 4 / 1e6:.0f} MB; two workers of 1074 MB at most")

        x = read([source(folder, i) for i in range(files)], shape)
        start = time.perf_counter()
        fit = fastnorm.dask.fit_whitening(x, method="pca", n_components=0.9).compute()
        print(f"fit: {time.perf_counter() - start:.1f} s, {len(fit.matrix)} components explain 90 % of the variance")

        start = time.perf_counter()
        z = fastnorm.dask.transform(fit, x)
        blocks = z.to_delayed()[:, 0]
        compute(*(delayed(np.save)(target(folder, i), block) for i, block in enumerate(blocks)))
        print(f"transformed and written: {time.perf_counter() - start:.1f} s")

        written = read([target(folder, i) for i in range(files)], (rows, len(fit.matrix)))
        white = fastnorm.dask.fit_whitening(written).compute()
        off = np.abs(white.covariance - np.eye(len(fit.matrix))).max()
        print(f"covariance of what was written: the identity but for {off:.1e}")
        peak = max(client.run(peak_megabytes).values())
        print(f"peak memory of a worker: {peak:.0f} MB")


def write(file: str, seed: int, shape: tuple[int, int]) -> None:
    """One file of embeddings, whose features are mixed and off centre."""
    mixing = np.random.default_rng(0).standard_normal((shape[1], shape[1])) / np.arange(1, shape[1] + 1)
    samples = np.random.default_rng([1, seed]).standard_normal(shape)
    np.save(file, (samples @ mixing.T + 3).astype(np.float32))


def read(files: list[str], shape: tuple[int, int]) -> da.Array:
    """The files as the blocks of one array. They are mapped into memory, and so read when they are used."""
    load = delayed(np.load, pure=True)
    return da.concatenate([da.from_delayed(load(file, mmap_mode="r"), shape, np.float32) for file in files])


def source(folder: str, number: int) -> str:
    return str(Path(folder) / f"{number}.npy")


def target(folder: str, number: int) -> str:
    return str(Path(folder) / f"white-{number}.npy")


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


if __name__ == "__main__":
    main()
