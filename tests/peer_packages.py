"""The modules of fastnorm that need other packages: the module and the name on PyPI of each of those."""

PEERS = {
    "autograd": {"autograd": "autograd"},
    "keras": {"keras": "keras", "jax": "jax"},
    "onnx": {"onnx": "onnx"},
    "sklearn": {"sklearn": "scikit-learn"},
}
