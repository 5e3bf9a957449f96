"""Build the ONNX graph of a BERT encoder with mean pooling and L2 normalisation, opset 18, no tracing, no torch.

Inputs `input_ids` and `attention_mask`, both int64 [batch, tokens]; output `embedding`, float32 [batch, hidden].
In fp16 everything up to the last layer is half as wide, weights included; the pooling is fp32 in either.

Query, key and value share one product. GELU is the exact one (Erf). Only standard operators, so that every execution
provider takes the graph; ONNX Runtime fuses what it can when it loads it. The segment embedding of an embedding model
is always row 0 and is added to the position table here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from serving.weights import Bert

OPSET = 18
IR_VERSION = 8  # what opset 18 came with: older runtimes read it too
ALIGNMENT = 65536  # of a tensor in the data file, so that it can be mapped as it lies
MASKED = -10000.0  # exp() of it is exactly 0 in fp32, and it still fits fp16

Real = type[np.float16] | type[np.float32]


@dataclass
class Graph:
    """Nodes in order, and tensors laid out in the data file. `domains`: of operators that are not ONNX's own."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    tensors: list[onnx.TensorProto] = field(default_factory=list)
    data: bytearray = field(default_factory=bytearray)
    domains: tuple[str, ...] = ()
    opset: int = OPSET
    known: list[onnx.ValueInfoProto] = field(default_factory=list)  # shapes that no inference would find
    real: Real = np.float32  # of weights and of what is computed with them

    def node(self, kind: str, inputs: list[str], out: str, **attributes: Any) -> str:
        """Append an operator with one output and give that output's name."""
        self.nodes.append(helper.make_node(kind, inputs, [out], name=out, **attributes))
        return out

    def large(self, name: str, value: npt.NDArray[np.generic], location: str) -> str:
        """A tensor kept in the data file: fp32 as the graph's `real`, any other in its own type."""
        value = value.astype(self.real) if value.dtype == np.float32 else value
        raw = np.ascontiguousarray(value).tobytes()
        self.data.extend(bytes(-len(self.data) % ALIGNMENT))
        kind = helper.np_dtype_to_tensor_dtype(value.dtype)
        tensor = onnx.TensorProto(name=name, data_type=kind, dims=value.shape)
        tensor.data_location = TensorProto.EXTERNAL
        for key, entry in (("location", location), ("offset", len(self.data)), ("length", len(raw))):
            tensor.external_data.add(key=key, value=str(entry))
        self.data.extend(raw)
        self.tensors.append(tensor)
        return name

    def small(self, name: str, value: npt.ArrayLike, dtype: type[np.generic]) -> str:
        """A tensor kept in the graph itself (made once however often it is named)."""
        if all(tensor.name != name for tensor in self.tensors):
            self.tensors.append(onnx.numpy_helper.from_array(np.asarray(value, dtype), name))
        return name


def build(bert: Bert, location: str, real: Real = np.float32) -> tuple[bytes, bytes]:
    """The serialised graph and its data file (called `location` inside the graph). Same weights, same bytes."""
    graph = Graph(real=real)
    state, mask = _encoder(graph, bert, location)
    pool(graph, _cast(graph, state, np.float32), mask)
    return finish(graph, bert)


def build_half(bert: Bert, location: str) -> tuple[bytes, bytes]:
    """The same in fp16, as a GPU's matrix units take it."""
    return build(bert, location, np.float16)


def build_hidden(bert: Bert, location: str) -> tuple[bytes, bytes]:
    """The same without pooling: output `last_hidden_state` [batch, tokens, hidden], for who pools by other means."""
    graph = Graph()
    state, _ = _encoder(graph, bert, location)
    graph.node("Identity", [state], "last_hidden_state")
    return finish(graph, bert, ("last_hidden_state", ["batch", "tokens", bert.hidden]))


def _encoder(graph: Graph, bert: Bert, location: str) -> tuple[str, str]:
    """The last layer's state, and the mask as fp32."""
    state = embeddings(graph, bert, location)
    mask = graph.node("Cast", ["attention_mask"], "mask", to=TensorProto.FLOAT)
    bias = _mask_bias(graph, mask)
    for layer in range(bert.layers):
        state = _layer(graph, bert, layer, state, bias, location)
    return state, mask


def finish(graph: Graph, bert: Bert, output: tuple[str, list[str | int]] | None = None) -> tuple[bytes, bytes]:
    """The checked graph, serialised, and its data file. output: name and dimensions, `embedding` unless said."""
    model = _model(graph, *(output or ("embedding", ["batch", bert.hidden])))
    onnx.checker.check_model(_without_data(model))
    return model.SerializeToString(deterministic=True), bytes(graph.data)


def embeddings(graph: Graph, bert: Bert, location: str) -> str:
    """Words and places, added and normalised: [batch, tokens, hidden]."""
    places = bert["embeddings.position_embeddings.weight"] + bert["embeddings.token_type_embeddings.weight"][0]
    table = graph.large("words", bert["embeddings.word_embeddings.weight"], location)
    words = graph.node("Gather", [table, "input_ids"], "embeddings.words")
    length = graph.node("Shape", ["input_ids"], "length", start=1, end=2)
    start, axis = graph.small("zero", [0], np.int64), graph.small("axis0", [0], np.int64)
    near = graph.node("Slice", [graph.large("places", places, location), start, length, axis], "embeddings.places")
    return norm(graph, bert, "embeddings.LayerNorm", graph.node("Add", [words, near], "embeddings.sum"))


def _mask_bias(graph: Graph, mask: str) -> str:
    """0 where a token is, MASKED where padding is, as [batch, 1, 1, tokens]."""
    kept = _cast(graph, mask, graph.real)
    padding = graph.node("Sub", [graph.small("one", 1.0, graph.real), kept], "padding")
    flat = graph.node("Mul", [padding, graph.small("masked", MASKED, graph.real)], "mask.flat")
    return graph.node("Unsqueeze", [flat, graph.small("axes12", [1, 2], np.int64)], "mask.bias")


def _layer(graph: Graph, bert: Bert, layer: int, state: str, bias: str, location: str) -> str:
    at, out = f"encoder.layer.{layer}.", f"layer{layer}."
    context = _attention(graph, bert, at, out, state, bias, location)
    attended = _dense(graph, bert, at + "attention.output.dense", out + "attended", context, location)
    state = norm(graph, bert, at + "attention.output.LayerNorm", _add(graph, out + "residual", attended, state))
    inner = _gelu(graph, out, _dense(graph, bert, at + "intermediate.dense", out + "inner", state, location))
    outer = _dense(graph, bert, at + "output.dense", out + "outer", inner, location)
    return norm(graph, bert, at + "output.LayerNorm", _add(graph, out + "sum", outer, state))


def _attention(graph: Graph, bert: Bert, at: str, out: str, state: str, bias: str, location: str) -> str:
    size = bert.hidden // bert.heads
    parts = [at + "attention.self." + part for part in ("query", "key", "value")]
    weight = np.concatenate([bert[part + ".weight"].T for part in parts], axis=1)
    offset = np.concatenate([bert[part + ".bias"] for part in parts])
    product = graph.node("MatMul", [state, graph.large(out + "qkv.weight", weight, location)], out + "qkv.product")
    both = _add(graph, out + "qkv", product, graph.small(out + "qkv.bias", offset, graph.real))
    # [batch, tokens, 3 * hidden] -> [3, batch, heads, tokens, size], then one slice for each of the three
    shape = graph.small("qkv.shape", [0, 0, 3, bert.heads, size], np.int64)
    heads = graph.node(
        "Transpose", [graph.node("Reshape", [both, shape], out + "split")], out + "heads", perm=[2, 0, 3, 1, 4]
    )
    query, key, value = (
        graph.node("Gather", [heads, graph.small(f"part{n}", n, np.int64)], f"{out}{name}", axis=0)
        for n, name in enumerate(("query", "key", "value"))
    )
    turned = graph.node("Transpose", [key], out + "key.turned", perm=[0, 1, 3, 2])
    scores = graph.node("MatMul", [query, turned], out + "scores.raw")
    scaled = graph.node("Mul", [scores, graph.small("scale", 1.0 / math.sqrt(size), graph.real)], out + "scores")
    weights = graph.node("Softmax", [_add(graph, out + "scores.masked", scaled, bias)], out + "weights", axis=-1)
    mixed = graph.node(
        "Transpose", [graph.node("MatMul", [weights, value], out + "mixed")], out + "mixed.turned", perm=[0, 2, 1, 3]
    )
    return graph.node("Reshape", [mixed, graph.small("joined.shape", [0, 0, bert.hidden], np.int64)], out + "context")


def _dense(graph: Graph, bert: Bert, name: str, out: str, state: str, location: str) -> str:
    weight = graph.large(out + ".weight", bert[name + ".weight"].T, location)
    product = graph.node("MatMul", [state, weight], out + ".product")
    return _add(graph, out, product, graph.small(out + ".bias", bert[name + ".bias"], graph.real))


def _add(graph: Graph, out: str, left: str, right: str) -> str:
    return graph.node("Add", [left, right], out)


def norm(graph: Graph, bert: Bert, name: str, state: str) -> str:
    """Layer norm over the last axis."""
    scale = graph.small(name + ".scale", bert[name + ".weight"], graph.real)
    shift = graph.small(name + ".shift", bert[name + ".bias"], graph.real)
    return graph.node("LayerNormalization", [state, scale, shift], name, axis=-1, epsilon=bert.epsilon)


def _gelu(graph: Graph, out: str, x: str) -> str:
    """x / 2 * (1 + erf(x / sqrt 2)), in the order ONNX Runtime recognises and fuses."""
    turned = graph.node(
        "Erf",
        [graph.node("Div", [x, graph.small("root2", math.sqrt(2.0), graph.real)], out + "gelu.scaled")],
        out + "gelu.erf",
    )
    share = graph.node("Add", [turned, graph.small("one", 1.0, graph.real)], out + "gelu.share")
    return graph.node(
        "Mul", [graph.node("Mul", [x, share], out + "gelu.twice"), graph.small("half", 0.5, graph.real)], out + "gelu"
    )


def _cast(graph: Graph, value: str, real: Real) -> str:
    """The value itself in a graph that has no other type."""
    if graph.real is np.float32:
        return value
    return graph.node("Cast", [value], f"{value}.{real.__name__}", to=helper.np_dtype_to_tensor_dtype(np.dtype(real)))


def pool(graph: Graph, state: str, mask: str) -> str:
    """Mean over the tokens that are there, then unit length."""
    axis = graph.small("axis1", [1], np.int64)
    column = graph.node("Unsqueeze", [mask, graph.small("axis2", [2], np.int64)], "pool.mask")
    total = graph.node("ReduceSum", [graph.node("Mul", [state, column], "pool.kept"), axis], "pool.total", keepdims=0)
    count = graph.node("ReduceSum", [mask, axis], "pool.count", keepdims=1)
    mean = graph.node("Div", [total, count], "pool.mean")
    return graph.node("Div", [mean, graph.node("ReduceL2", [mean, axis], "pool.length", keepdims=1)], "embedding")


def _model(graph: Graph, name: str, dims: list[str | int]) -> onnx.ModelProto:
    inputs = [
        helper.make_tensor_value_info(given, TensorProto.INT64, ["batch", "tokens"])
        for given in ("input_ids", "attention_mask")
    ]
    output = helper.make_tensor_value_info(name, TensorProto.FLOAT, dims)
    made = helper.make_graph(graph.nodes, "embedder", inputs, [output], graph.tensors, value_info=graph.known)
    opsets = [helper.make_opsetid("", graph.opset), *(helper.make_opsetid(domain, 1) for domain in graph.domains)]
    return helper.make_model(made, opset_imports=opsets, ir_version=IR_VERSION, producer_name="tandem")


def _without_data(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph with its large tensors as inputs: what the checker can read without the data file."""
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    large = [tensor for tensor in bare.graph.initializer if tensor.data_location == TensorProto.EXTERNAL]
    for tensor in large:
        bare.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))
        bare.graph.initializer.remove(tensor)
    return bare
