"""Build the int8 graph of a BERT encoder for ONNX Runtime on a CPU: same inputs and output as `graph`'s.

A weight matrix is rounded per output column, its input per row at run time, and the product is of whole numbers. Rows
become bytes 1..255 around 128, because the processor's instruction for this (VNNI) multiplies unsigned by signed. No
calibration, so no texts decide what the model can round well. Embeddings, attention, GELU and norms stay fp32.

A state lies as [rows, hidden], a row for every real token of the batch: padding is there in attention only, which works
on whole texts. So texts of unlike lengths share a batch at little cost, and one QuantizeLinear gives every row its own
scale.
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
    _places(graph)
    _middles(graph)
    _is_alone(graph)
    state = graph.node("Gather", [_flat(graph, bert, state, "texts.flat"), "rows.at"], "rows")
    for number in range(bert.layers):
        state = _layer(_Layer(graph, bert, location, f"encoder.layer.{number}.", f"layer{number}."), state)
    state = graph.node("Gather", [state, "rows.places"], "texts")
    plain.pool(graph, state, graph.node("Cast", ["attention_mask"], "mask", to=TensorProto.FLOAT))
    return plain.finish(graph, bert)


def rounded(weight: Array) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.int8]], Array]:
    """Whole numbers of a matrix [in, out], and what one step of each column is worth."""
    step = (np.maximum(np.abs(weight).max(axis=0), np.finfo(np.float32).tiny) / np.float32(STEPS)).astype(np.float32)
    return np.rint(weight / step).astype(np.int8), step


def _middles(graph: Graph) -> None:
    """128 for every row."""
    middle = helper.make_tensor("middle", TensorProto.UINT8, [1], [128])
    graph.node("ConstantOfShape", [graph.node("Shape", ["rows.at"], "rows.shape")], "middles", value=middle)


def _places(graph: Graph) -> None:
    """Where each row lies among all places of the padded texts, and which row each place has: where there is padding,
    that of the token before, which nobody looks at."""
    flat = graph.node("Reshape", ["attention_mask", graph.small("flat", [-1], np.int64)], "mask.all")
    there = graph.node("NonZero", [flat], "rows.at.column")
    graph.node("Squeeze", [there, graph.small("axis0", [0], np.int64)], "rows.at")
    count = graph.node("CumSum", [flat, graph.small("axis", 0, np.int64)], "rows.counted")
    before = graph.node("Sub", [count, graph.small("one1", [1], np.int64)], "rows.flat.places")
    graph.node("Reshape", [before, "dims"], "rows.places")


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
    state = _residual(layer, "attention.output", attended, state)
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


def _moved(layer: _Layer, product: str, name: str) -> str:
    """A product and the bias of this name."""
    bias = layer.graph.small(product + ".bias", layer.bert[f"{layer.at}{name}.bias"], np.float32)
    return layer.graph.node("Add", [product, bias], product + ".moved")


def _residual(layer: _Layer, part: str, change: str, state: str) -> str:
    """Layer norm of bias, change and state added up."""
    graph, name = layer.graph, f"{layer.at}{part}"
    moved = _moved(layer, change, part + ".dense")
    # Not SkipLayerNormalization, which is one node for this: its kernel takes four times as long.
    return plain.norm(graph, layer.bert, name + ".LayerNorm", graph.node("Add", [moved, state], change + ".sum"))


def _attention(layer: _Layer, state: str) -> str:
    """All rows' context.

    A bias of the keys moves all scores of a query alike, which a softmax does not see: there is none. The values' bias
    could be added after the next product, but rounds better before it: the least cosine is 0.986 then, not 0.978.
    """
    graph, out = layer.graph, layer.out
    rounded_state = _bytes(graph, state)
    query, key, value = (
        _product(layer, out + part, rounded_state, layer.bert[f"{layer.at}attention.self.{part}.weight"])
        for part in ("query", "key", "value")
    )
    query, value = _moved(layer, query, "attention.self.query"), _moved(layer, value, "attention.self.value")
    alone = _branch(layer, "alone", (query, key, value))
    among = _branch(layer, "among", (query, key, value))
    return graph.node("If", ["is_alone"], out + "context", then_branch=alone, else_branch=among)


def _branch(layer: _Layer, name: str, rows: tuple[str, str, str]) -> GraphProto:
    """Rows to whole texts, attention, and back to rows. A text alone has no padding: its rows are the text."""
    graph, heads, out = Graph(), layer.bert.heads, f"{layer.out}{name}."
    is_alone = name == "alone"
    kind, by = ("Reshape", "texts.shape") if is_alone else ("Gather", "rows.places")
    texts = [graph.node(kind, [part, by], f"{out}{part}") for part in rows]
    seen = [] if is_alone else ["mask.pairs"]
    context = graph.node("Attention", [*texts, *seen], out + "texts", q_num_heads=heads, kv_num_heads=heads)
    flat = graph.node("Reshape", [context, "rows.flat"], out + "flat")
    last = flat if is_alone else graph.node("Gather", [flat, "rows.at"], out + "rows")
    result = helper.make_tensor_value_info(last, TensorProto.FLOAT, ["rows", layer.bert.hidden])
    return helper.make_graph(
        graph.nodes, out, [], [result], value_info=[_known(layer, part) for part in (*texts, context)]
    )


def _known(layer: _Layer, name: str) -> ValueInfoProto:
    """That a value has a row of `hidden` for every token of every text."""
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", "tokens", layer.bert.hidden])
