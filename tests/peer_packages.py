"""The modules of fastnorm that need other packages: the module and the name on PyPI of each of those."""

PEERS = {
    "autograd": {"autograd": "autograd"},
    "dask": {"dask": "dask", "distributed": "distributed"},
    "jax": {"jax": "jax"},
    "keras": {"keras": "keras", "jax": "jax"},
    "onnx": {"onnx": "onnx", "onnxruntime": "onnxruntime"},
    "sklearn": {"sklearn": "scikit-learn"},
    "torch": {"torch": "torch"},
}
