"""Fusion of normalizations with what stands around them, into operators of the domain fastnorm."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, helper, shape_inference

DOMAIN = "fastnorm"
STANDARD = ("", "ai.onnx")
NORMS = ("GroupNormalization", "InstanceNormalization", "LayerNormalization", "RMSNormalization")
_OF_SUMS = {"LayerNormalization": "SkipLayerNormalization", "RMSNormalization": "SkipSimplifiedLayerNormalization"}


def convert(model: ModelProto) -> ModelProto:
    """Return a model with fused operators; the given one stays as it is.

    See Also
    --------
    register : Run the result in ONNX Runtime.
    reference_ops : Run it in the reference evaluator.
    """
    result = ModelProto()
    result.CopyFrom(model)
    opset = next((o.version for o in model.opset_import if o.domain in STANDARD), 0)
    _Fusion(result, opset).run()
    if any(node.domain == DOMAIN for node in result.graph.node) and all(
        o.domain != DOMAIN for o in result.opset_import
    ):
        result.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    return result


class _Fusion:
    """The main graph of a model: who makes a value, who uses it, what shape it has."""

    def __init__(self, model: ModelProto, opset: int) -> None:
        self._graph = model.graph
        self._opset = opset
        self._nodes: list[NodeProto | None] = list(model.graph.node)
        self._shapes = dict(_shapes(shape_inference.infer_shapes(model).graph))
        self._maker = {name: k for k, node in enumerate(self._graph.node) for name in node.output if name}
        self._uses = Counter(_uses(self._graph))

    def run(self) -> None:
        for fuse in (self._sum_and_norm, self._norm_and_activation):
            for k, node in enumerate(self._nodes):
                if node is not None and node.domain in STANDARD:
                    fuse(k, node)
        nodes = [node for node in self._nodes if node is not None]
        del self._graph.node[:]
        self._graph.node.extend(nodes)

    def _sum_and_norm(self, k: int, norm: NodeProto) -> None:
        """`norm(a + b)`, where the sum may be used elsewhere too."""
        before = self._made(norm.input[0]) if norm.op_type in _OF_SUMS else None
        if before is None or before[1].op_type != "Add" or not self._is_of_rows(norm):
            return
        position, add = before
        a, b = (self._shapes.get(name) for name in add.input)
        if a is None or a != b or any(name in self._maker for name in norm.input[1:]):
            return
        outputs = [norm.output[0], "", "", add.output[0]] if self._uses[add.output[0]] > 1 else [norm.output[0]]
        inputs = [*add.input, *norm.input[1:]]
        # Where the sum stood: those who use it may come before the norm.
        epsilon = _attributes(norm).get("epsilon", 1e-5)
        self._nodes[position] = _fused(_OF_SUMS[norm.op_type], inputs, outputs, norm.name, {"epsilon": epsilon})
        self._nodes[k] = None
        self._maker[norm.output[0]] = position

    def _norm_and_activation(self, k: int, last: NodeProto) -> None:
        """`activation(norm(x))`, where nobody else uses the norm."""
        found = self._activation(last)
        before = None if found is None else self._made(found[1])
        if found is None or before is None:
            return
        activation, value, users, others = found
        position, norm = before
        fits = norm.op_type in NORMS and self._uses[value] == users
        if not fits or sum(map(bool, norm.output)) > 1 or (norm.op_type == "GroupNormalization" and self._opset < 21):
            return
        attributes = {**_attributes(norm), "activation": activation}
        self._nodes[k] = _fused(norm.op_type, norm.input, last.output, norm.name, attributes)
        for gone in (position, *others):
            self._nodes[gone] = None

    def _activation(self, last: NodeProto) -> tuple[str, str, int, list[int]] | None:
        """The activation that ends here: its name, its argument, how often that is used, and its other nodes."""
        if last.op_type == "Relu":
            return "relu", last.input[0], 1, []
        if last.op_type == "Gelu":
            tanh = _attributes(last).get("approximate", b"none") == b"tanh"
            return "gelu_tanh" if tanh else "gelu", last.input[0], 1, []
        if last.op_type == "Mul":
            for gate, value in (tuple(last.input), tuple(reversed(last.input))):
                made = self._made(gate)
                if made is not None and made[1].op_type == "Sigmoid" and made[1].input[0] == value:
                    return ("silu", value, 2, [made[0]]) if self._uses[gate] == 1 else None
        return None

    def _made(self, name: str) -> tuple[int, NodeProto] | None:
        """Who makes a value, if it is a node of ONNX itself."""
        position = self._maker.get(name)
        node = None if position is None else self._nodes[position]
        return None if position is None or node is None or node.domain not in STANDARD else (position, node)

    def _is_of_rows(self, norm: NodeProto) -> bool:
        """Over the last axis, with parameters that have no other, and no statistics asked for."""
        shape = self._shapes.get(norm.input[0])
        if shape is None or sum(map(bool, norm.output)) > 1:
            return False
        ranks = {len(self._shapes[name]) if name in self._shapes else None for name in norm.input[1:] if name}
        return _attributes(norm).get("axis", -1) in (-1, len(shape) - 1) and ranks == {1}


def _fused(op: str, inputs: Any, outputs: Any, name: str, attributes: dict[str, Any]) -> NodeProto:
    return helper.make_node(op, inputs, outputs, name, domain=DOMAIN, **attributes)


def _attributes(node: NodeProto) -> dict[str, Any]:
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def _uses(graph: GraphProto) -> Iterator[str]:
    """Names as often as something reads them, also from inside of a branch or a loop, or as a result."""
    yield from (value.name for value in graph.output)
    for node in graph.node:
        yield from node.input
        for attribute in node.attribute:
            bodies = [attribute.g] if attribute.type == AttributeProto.GRAPH else attribute.graphs
            for body in bodies:
                yield from _uses(body)


def _shapes(graph: GraphProto) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Shapes as far as they are known: numbers, or names of lengths. Lengths without either differ from all others."""
    for value in (*graph.input, *graph.value_info, *graph.output):
        tensor = value.type.tensor_type
        if tensor.HasField("shape"):
            yield value.name, tuple(d.dim_value or d.dim_param or object() for d in tensor.shape.dim)
    yield from ((tensor.name, tuple(tensor.dims)) for tensor in graph.initializer)
