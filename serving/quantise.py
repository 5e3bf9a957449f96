"""Build the int8 graph of a BERT encoder for ONNX Runtime on a CPU: same inputs and output as `graph`'s.

A weight matrix is rounded per output column, its input per row at run time, and the product is of whole numbers. Rows
become bytes 1..255 around 128, because the processor's instruction for this (VNNI) multiplies unsigned by signed. No
calibration, so no texts decide what the model can round well. Embeddings, attention, GELU and norms stay fp32.

Between two products a state lies as [batch * tokens, hidden], so that one QuantizeLinear gives every row its own scale.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from onnx import GraphProto, TensorProto, ValueInfoProto, helper

from serving import graph as plain
from serving.graph import Graph
from serving.rowwise import ALONE_TOKENS
from serving.weights import Array, Bert

RUNTIME = "com.microsoft"  # operators of ONNX Runtime itself
OPSET = 23  # the first with Attention; its kernel takes two thirds of the time of MultiHeadAttention
STEPS = 127.0  # of an int8 value on either side of zero
GELU_LEAST = 0.17  # GELU is never below -0.17, so its largest value bounds it on both sides


@dataclass(frozen=True, slots=True)
class _Layer:
    """Where one layer is written: `at` names its weights, `out` its values."""

    graph: Graph
    bert: Bert
    location: str
    at: str
    out: str


def build(bert: Bert, location: str) -> tuple[bytes, bytes]:
    """The serialised graph and its data file (called `location` inside the graph). Same weights, same bytes."""
    graph = Graph(domains=(RUNTIME,), opset=OPSET)
    state = plain.embeddings(graph, bert, location)
    shape = graph.node("Shape", ["input_ids"], "dims")
    graph.node("Concat", [shape, graph.small("hidden", [bert.hidden], np.int64)], "texts.shape", axis=0)
    _pairs(graph)
    _middles(graph)
    _is_alone(graph)
    state = _flat(graph, bert, state, "rows")
    for number in range(bert.layers):
        state = _layer(_Layer(graph, bert, location, f"encoder.layer.{number}.", f"layer{number}."), state)
    state = graph.node("Reshape", [state, "texts.shape"], "texts")
    plain.pool(graph, state, graph.node("Cast", ["attention_mask"], "mask", to=TensorProto.FLOAT))
    return plain.finish(graph, bert)


def rounded(weight: Array) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.int8]], Array]:
    """Whole numbers of a matrix [in, out], and what one step of each column is worth."""
    step = (np.maximum(np.abs(weight).max(axis=0), np.finfo(np.float32).tiny) / np.float32(STEPS)).astype(np.float32)
    return np.rint(weight / step).astype(np.int8), step


def _middles(graph: Graph) -> None:
    """128 for every row of the batch."""
    rows = graph.node("Size", ["input_ids"], "rows.count")
    shape = graph.node("Unsqueeze", [rows, graph.small("axis0", [0], np.int64)], "rows.shape")
    middle = helper.make_tensor("middle", TensorProto.UINT8, [1], [128])
    graph.node("ConstantOfShape", [shape], "middles", value=middle)


def _pairs(graph: Graph) -> None:
    """Which token of a text sees which: every one those that are there. [batch, 1, tokens, tokens]."""
    seen = graph.node("Cast", ["attention_mask"], "mask.seen", to=TensorProto.BOOL)
    row = graph.node("Unsqueeze", [seen, graph.small("axes12", [1, 2], np.int64)], "mask.row")
    tokens = graph.node("Shape", ["input_ids"], "mask.tokens", start=1, end=2)
    one = graph.small("one1", [1], np.int64)
    graph.node("Expand", [row, graph.node("Concat", [one, one, tokens, one], "mask.shape", axis=0)], "mask.pairs")


def _is_alone(graph: Graph) -> None:
    """Whether these texts are long: then the engine gives them one by one, and nothing is padded."""
    length = graph.node("Squeeze", [graph.node("Shape", ["input_ids"], "tokens.shape", start=1, end=2)], "tokens.count")
    graph.node("Greater", [length, graph.small("alone.tokens", ALONE_TOKENS, np.int64)], "is_alone")


def _flat(graph: Graph, bert: Bert, state: str, out: str) -> str:
    return graph.node("Reshape", [state, graph.small("rows.flat", [-1, bert.hidden], np.int64)], out)


def _layer(layer: _Layer, state: str) -> str:
    graph, at, out = layer.graph, layer.at, layer.out
    context = _attention(layer, state)
    attended = _product(layer, out + "attended", _bytes(graph, context), layer.bert[_weight(layer, "attention.output")])
    state = _residual(layer, "attention.output", attended, state, _values_bias(layer))
    inner = _product(layer, out + "inner", _bytes(graph, state), layer.bert[_weight(layer, "intermediate")])
    offset = graph.small(out + "inner.bias", layer.bert[at + "intermediate.dense.bias"], np.float32)
    gelu = graph.node("BiasGelu", [inner, offset], out + "gelu", domain=RUNTIME)
    outer = _product(layer, out + "outer", _bytes(graph, gelu, least=GELU_LEAST), layer.bert[_weight(layer, "output")])
    return _residual(layer, "output", outer, state)


def _weight(layer: _Layer, part: str) -> str:
    return f"{layer.at}{part}.dense.weight"


def _bytes(graph: Graph, state: str, least: float | None = None) -> tuple[str, str]:
    """A state as bytes, and what one step of each row is worth [rows, 1].

    `least`: no value is further below zero. A row of zeros gives a step of 0, so whatever its bytes are, its product is
    0."""
    at, axis = state + ".round.", graph.small("axis1", [1], np.int64)
    if least is None:
        size = graph.node("Abs", [state], at + "size")
        most = graph.node("ReduceMax", [size, axis], at + "most", keepdims=0)
    else:
        highest = graph.node("ReduceMax", [state, axis], at + "highest", keepdims=0)
        most = graph.node("Max", [highest, graph.small("round.least", least, np.float32)], at + "most")
    step = graph.node("Mul", [most, graph.small("round.share", 1.0 / STEPS, np.float32)], at + "step")
    bytes_ = graph.node("QuantizeLinear", [state, step, "middles"], at + "bytes", axis=0)
    return bytes_, graph.node("Unsqueeze", [step, graph.small("axis1", [1], np.int64)], at + "column")


def _product(layer: _Layer, out: str, state: tuple[str, str], weight: Array) -> str:
    """Bytes times a matrix [out, in]; the bias comes after, since it must not be scaled by the row."""
    graph, (bytes_, column) = layer.graph, state
    whole, step = rounded(weight.T)
    inputs = [
        bytes_,
        graph.large(out + ".weight", whole, layer.location),
        graph.small("round.one", 1.0, np.float32),
        graph.small(out + ".step", step, np.float32),
        graph.small("round.middle", 128, np.uint8),
    ]
    counted = graph.node("MatMulIntegerToFloat", inputs, out + ".counted", domain=RUNTIME)
    return graph.node("Mul", [counted, column], out)


def _residual(layer: _Layer, part: str, change: str, state: str, more: Array | None = None) -> str:
    """Layer norm of bias, change and state added up. more: what else the bias has to bring."""
    graph, name = layer.graph, f"{layer.at}{part}"
    bias = layer.bert[name + ".dense.bias"] if more is None else layer.bert[name + ".dense.bias"] + more
    offset = graph.small(change + ".bias", bias, np.float32)
    moved = graph.node("Add", [change, offset], change + ".moved")
    # Not SkipLayerNormalization, which is one node for this: its kernel takes four times as long.
    return plain.norm(graph, layer.bert, name + ".LayerNorm", graph.node("Add", [moved, state], change + ".sum"))


def _attention(layer: _Layer, state: str) -> str:
    """All texts' context, [batch * tokens, hidden], without the values' bias: `_values_bias` brings it later.

    A bias of the keys moves all scores of a query alike, which a softmax does not see: there is none.
    """
    graph, out = layer.graph, layer.out
    rounded_state = _bytes(graph, state)
    query, key, value = (
        _product(layer, out + part, rounded_state, layer.bert[f"{layer.at}attention.self.{part}.weight"])
        for part in ("query", "key", "value")
    )
    bias = graph.small(out + "query.bias", layer.bert[f"{layer.at}attention.self.query.bias"], np.float32)
    query = graph.node("Add", [query, bias], out + "query.moved")
    heads = [graph.node("Reshape", [part, "texts.shape"], part + ".texts") for part in (query, key, value)]
    graph.known += [_known(layer, name) for name in heads]
    alone = _attend(layer, heads, "alone")
    among = _attend(layer, [*heads, "mask.pairs"], "among")
    context = graph.node("If", ["is_alone"], out + "context.texts", then_branch=alone, else_branch=among)
    return _flat(graph, layer.bert, context, out + "context")


def _values_bias(layer: _Layer) -> Array:
    """What the values' bias adds to the attention's output: weights of a softmax sum to one, so all of it arrives."""
    bias = layer.bert[f"{layer.at}attention.self.value.bias"]
    return layer.bert[_weight(layer, "attention.output")] @ bias


def _attend(layer: _Layer, inputs: list[str], name: str) -> GraphProto:
    """A branch: attention with these inputs."""
    value, heads = f"{layer.out}context.{name}", layer.bert.heads
    node = helper.make_node("Attention", inputs, [value], name=value, q_num_heads=heads, kv_num_heads=heads)
    return helper.make_graph([node], value, [], [_known(layer, value)])


def _known(layer: _Layer, name: str) -> ValueInfoProto:
    """That a value has a row of `hidden` for every token of every text."""
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", "tokens", layer.bert.hidden])
