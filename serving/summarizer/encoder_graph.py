"""The encoder as an ONNX graph. What comes out is not its state but what the decoder makes of it once per text: the
cross-attention keys and values of every decoder layer, to be read by all beams at every step.

Inputs   input_ids, attention_mask      int64 [batch, tokens]
Outputs  cross_key.N                    float [batch, heads, size, tokens] (turned, as the decoder multiplies by it)
         cross_value.N                  float [batch, heads, tokens, size] for every decoder layer N
"""

from __future__ import annotations

import math

from onnx import TensorProto

from serving.summarizer.builder import DataFile, Dims, Graph, Precision
from serving.summarizer.weights import POSITION_OFFSET, Bart


def build(bart: Bart, data: DataFile, precision: Precision) -> bytes:
    """The serialised graph; its large tensors go to `data`."""
    graph = Graph(bart, data, precision, "input_ids")
    state = _embed(graph)
    bias = graph.padding_bias("attention_mask")
    for layer in range(bart.shape.encoder_layers):
        at = f"encoder.layers.{layer}."
        attended = graph.linear([at + "self_attn.out_proj"], at + "attended", _attention(graph, at, state, bias))
        state = graph.residual(at + "self_attn_layer_norm", at + "residual", attended, state)
        state = graph.feed_forward(at, state)
    for layer in range(bart.shape.decoder_layers):
        _cross(graph, layer, state)
    plain: Dims = ["batch", "tokens"]
    inputs: dict[str, tuple[int, Dims]] = {"input_ids": (TensorProto.INT64, plain)}
    inputs["attention_mask"] = inputs["input_ids"]
    return graph.serialized("encoder", inputs, cross_dims(bart))


def cross_dims(bart: Bart) -> dict[str, tuple[int, Dims]]:
    """Names and shapes of the cross-attention keys and values, which one graph gives and the other takes."""
    heads = bart.shape.decoder_heads
    size = bart.shape.hidden // heads
    dims: dict[str, Dims] = {
        "cross_key": ["batch", heads, size, "tokens"],
        "cross_value": ["batch", heads, "tokens", size],
    }
    layers = range(bart.shape.decoder_layers)
    return {f"{name}.{layer}": (TensorProto.FLOAT, dims[name]) for layer in layers for name in dims}


def _embed(graph: Graph) -> str:
    words = graph.words("input_ids")
    table = graph.large("encoder.places", graph.bart["encoder.embed_positions.weight"][POSITION_OFFSET:])
    length = graph.node("Shape", ["input_ids"], "length", start=1, end=2)
    places = graph.node("Slice", [table, graph.ints(0), length, graph.ints(0)], "embed.places")
    return graph.norm("encoder.layernorm_embedding", graph.node("Add", [words, places], "embed.sum"))


def _attention(graph: Graph, at: str, state: str, bias: str) -> str:
    heads, hidden = graph.bart.shape.encoder_heads, graph.bart.shape.hidden
    names = [f"{at}self_attn.{part}_proj" for part in ("q", "k", "v")]
    both = graph.linear(names, at + "qkv", state, shrink=1.0 / math.sqrt(hidden // heads))
    query, key, value = (
        graph.node("Slice", [both, graph.ints(n * hidden), graph.ints((n + 1) * hidden), graph.ints(2)], f"{at}{part}")
        for n, part in enumerate(("query", "key", "value"))
    )
    turned = graph.heads(at + "key.heads", key, heads, turned=True)
    scores = graph.node("MatMul", [graph.heads(at + "query.heads", query, heads), turned], at + "scores")
    return graph.attend(at, scores, bias, graph.heads(at + "value.heads", value, heads))


def _cross(graph: Graph, layer: int, state: str) -> None:
    heads = graph.bart.shape.decoder_heads
    for part in ("key", "value"):
        name = f"decoder.layers.{layer}.encoder_attn.{part[0]}_proj"
        made = graph.linear([name], name, state)
        graph.heads(f"cross_{part}.{layer}", made, heads, turned=part == "key")
