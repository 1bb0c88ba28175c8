"""ONNX models: operators for its reference evaluator, kernels for ONNX Runtime, and fusion of norms.

Importing this needs no other package; each function tells what it needs.
"""

from typing import Any

from .._peers import needs
from ._runtime import library_path, register

__all__ = ["convert", "library_path", "reference_ops", "register"]


def convert(model: Any) -> Any:
    """Fuse normalizations with what stands around them, into operators of the domain ``fastnorm``.

    - A group, instance, layer or RMS normalization and the activation that follows it (Relu, Gelu, ``x * Sigmoid(x)``)
      become one node with an attribute ``activation``, if nothing else reads what is in between. Group normalization
      before opset 21, with its scale for each group, stays as it is.
    - ``Add`` of two tensors of one shape and the layer or RMS normalization of the sum over its last axis become
      SkipLayerNormalization or SkipSimplifiedLayerNormalization, as ONNX Runtime calls them; its fourth output is the
      sum, if something else reads that.

    Nodes inside of branches, loops and functions stay as they are.

    Parameters
    ----------
    model : onnx.ModelProto
        The model, which stays as it is.

    Returns
    -------
    onnx.ModelProto
        A model that runs where the domain is known: in the reference evaluator with
        :func:`reference_ops`, in ONNX Runtime with :func:`register`.

    Raises
    ------
    ImportError
        If onnx is not installed.
    TypeError
        If `model` is something else.

    See Also
    --------
    register : Run the result in ONNX Runtime.
    reference_ops : Run it in the reference evaluator.

    Examples
    --------
    >>> from onnx import parser
    >>> import fastnorm.onnx
    >>> model = parser.parse_model('''<ir_version: 8, opset_import: ["": 17]>
    ... layer (float[N, 4] x, float[4] scale) => (float[N, 4] y) {
    ...     z = LayerNormalization (x, scale)
    ...     y = Relu (z)
    ... }''')
    >>> [(node.domain, node.op_type) for node in fastnorm.onnx.convert(model).graph.node]
    [('fastnorm', 'LayerNormalization')]
    """
    with needs("onnx", extra="onnx"):
        import onnx

        from . import _convert
    if not isinstance(model, onnx.ModelProto):
        raise TypeError(f"model must be an onnx.ModelProto, got {type(model).__name__}")
    return _convert.convert(model)


def reference_ops() -> list[type[Any]]:
    """Return operators for ``onnx.reference.ReferenceEvaluator(model, new_ops=...)``.

    They take the place of the evaluator's own normalizations, for every opset: BatchNormalization,
    GroupNormalization, InstanceNormalization, LayerNormalization, LpNormalization, MeanVarianceNormalization and
    RMSNormalization. Besides there are ONNX Runtime's SimplifiedLayerNormalization, and in its domain
    ``com.microsoft`` EmbedLayerNormalization, SkipLayerNormalization and SkipSimplifiedLayerNormalization; and the
    operators of the domain ``fastnorm``.

    Returns
    -------
    list of subclasses of onnx.reference.op_run.OpRun
        A new list in each call, since the evaluator adds to the one it is given.

    Raises
    ------
    ImportError
        If onnx is not installed.

    See Also
    --------
    register : The same for ONNX Runtime.
    convert : Fuse norms with what stands around them.

    Examples
    --------
    >>> import numpy as np
    >>> from onnx import parser
    >>> from onnx.reference import ReferenceEvaluator
    >>> import fastnorm.onnx
    >>> model = parser.parse_model('''<ir_version: 8, opset_import: ["": 17]>
    ... layer (float[N, 4] x, float[4] scale) => (float[N, 4] y) {
    ...     y = LayerNormalization <epsilon = 0.0> (x, scale)
    ... }''')
    >>> session = ReferenceEvaluator(model, new_ops=fastnorm.onnx.reference_ops())
    >>> x = np.array([[1, 3, 1, 3]], np.float32)
    >>> session.run(None, {"x": x, "scale": np.ones(4, np.float32)})
    [array([[-1.,  1., -1.,  1.]], dtype=float32)]
    """
    with needs("onnx", extra="onnx"):
        from . import _reference
    return list(_reference.OPERATORS)
