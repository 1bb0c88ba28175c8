"""The modules of fastnorm that need other packages: the module and the name on PyPI of each of those."""

PEERS = {
    "dask": {"dask": "dask", "distributed": "distributed"},
    "sklearn": {"sklearn": "scikit-learn"},
}
