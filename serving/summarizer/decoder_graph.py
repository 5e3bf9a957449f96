"""One step of beam search as an ONNX graph: from the last token of every beam to its best continuations.

The beams of a text stand where tokens stand in an ordinary transformer, [texts, beams, hidden]. What they look back at
is not one cache per beam: the keys and values of every token that was ever fed lie in slots, `present` [texts, heads,
slots, size], and a beam sees those of its own line of descent through `lineage`. Beams share most of their past, so
keeping only slots that some beam still descends from holds little more than one beam's length, not beams x length.

Inputs   tokens         int64 [texts, beams]         what every beam said last
         positions      int64 [texts]                how many tokens each text's beams have been fed before
         owner          int64 [texts]                where each text stood in the step before (texts leave and come)
         keep           int64 [texts, kept]          which of its slots then are still descended from (any, if none)
         lineage        float [texts, beams, kept + beams]   0 for what a beam sees, MASKED for what it does not; the
                                                     last `beams` slots are the tokens fed in this step
         width          int64 [1]                    continuations wanted per beam
         attention_mask int64 [texts, tokens]        of the sources
         cross_key.N, cross_value.N                  what the encoder graph gave
         past_key.N, past_value.N                    the step before's present_key.N, present_value.N
Outputs  scores, ids    [texts * beams, width]       the best log-probabilities, best first, and their tokens
         present_key.N, present_value.N              float [texts, heads, kept + beams, size]
"""

from __future__ import annotations

import math

import numpy as np
from onnx import TensorProto, helper

from serving.summarizer.builder import DataFile, Dims, Graph, Precision
from serving.summarizer.encoder_graph import cross_dims
from serving.summarizer.weights import POSITION_OFFSET, Bart


def build(bart: Bart, data: DataFile, precision: Precision) -> bytes:
    """The serialised graph; its large tensors go to `data`."""
    graph = Graph(bart, data, precision, "tokens")
    state = _embed(graph)
    kept = _kept(graph)
    lineage = graph.node("Unsqueeze", ["lineage", graph.ints(1)], "lineage.bias")
    source = graph.padding_bias("attention_mask")
    for layer in range(bart.shape.decoder_layers):
        at = f"decoder.layers.{layer}."
        attended = _self_attention(graph, layer, state, kept, lineage)
        state = graph.residual(at + "self_attn_layer_norm", at + "residual", attended, state)
        attended = _cross_attention(graph, layer, state, source)
        state = graph.residual(at + "encoder_attn_layer_norm", at + "cross.residual", attended, state)
        state = graph.feed_forward(at, state)
    _best(graph, state)
    return graph.serialized("decoder", _inputs(bart), _outputs(bart))


def _embed(graph: Graph) -> str:
    words = graph.words("tokens")
    table = graph.large("decoder.places", graph.bart["decoder.embed_positions.weight"][POSITION_OFFSET:])
    places = graph.node("Gather", [table, "positions"], "embed.place")
    each = graph.node("Unsqueeze", [places, graph.ints(1)], "embed.places")
    return graph.norm("decoder.layernorm_embedding", graph.node("Add", [words, each], "embed.sum"))


def _kept(graph: Graph) -> str:
    """Rows to take from a past that is laid out as [texts * heads * slots, size]: [texts, heads, kept]."""
    heads = graph.bart.shape.decoder_heads
    slots = graph.node("Shape", ["past_key.0"], "slots", start=2, end=3)
    first = graph.node("Mul", ["owner", graph.ints(heads)], "kept.first")
    column = graph.node("Unsqueeze", [first, graph.ints(1)], "kept.column")
    each = graph.node("Add", [column, graph.small("heads", np.arange(heads), np.int64)], "kept.heads")
    starts = graph.node("Unsqueeze", [graph.node("Mul", [each, slots], "kept.rows"), graph.ints(2)], "kept.starts")
    return graph.node("Add", [starts, graph.node("Unsqueeze", ["keep", graph.ints(1)], "kept.slots")], "kept")


def _self_attention(graph: Graph, layer: int, state: str, kept: str, lineage: str) -> str:
    at, shape = f"decoder.layers.{layer}.", graph.bart.shape
    size = shape.hidden // shape.decoder_heads
    names = [f"{at}self_attn.{part}_proj" for part in ("q", "k", "v")]
    both = graph.linear(names, at + "qkv", state, shrink=1.0 / math.sqrt(size))
    # [texts, beams, 3 * hidden] -> [3, texts, heads, beams, size], then one slice for each of the three
    split = graph.node("Reshape", [both, graph.ints(0, 0, 3, shape.decoder_heads, size)], at + "split")
    heads = graph.node("Transpose", [split], at + "heads", perm=[2, 0, 3, 1, 4])
    query, key, value = (
        graph.node("Gather", [heads, graph.small(f"part{n}", n, np.int64)], at + part, axis=0)
        for n, part in enumerate(("query", "key", "value"))
    )
    key, value = (
        _present(graph, f"{part}.{layer}", kept, fresh, size) for part, fresh in (("key", key), ("value", value))
    )
    turned = graph.node("Transpose", [key], at + "key.turned", perm=[0, 1, 3, 2])
    scores = graph.node("MatMul", [query, turned], at + "scores")
    return graph.linear([at + "self_attn.out_proj"], at + "attended", graph.attend(at, scores, lineage, value))


def _present(graph: Graph, name: str, kept: str, fresh: str, size: int) -> str:
    """The kept slots of the past, then the new ones."""
    flat = graph.node("Reshape", ["past_" + name, graph.ints(-1, size)], name + ".flat")
    past = graph.node("Gather", [flat, kept], name + ".kept")
    return graph.node("Concat", [past, fresh], "present_" + name, axis=2)


def _cross_attention(graph: Graph, layer: int, state: str, source: str) -> str:
    at, shape = f"decoder.layers.{layer}.cross.", graph.bart.shape
    name = f"decoder.layers.{layer}.encoder_attn."
    shrink = 1.0 / math.sqrt(shape.hidden // shape.decoder_heads)
    query = graph.heads(at + "heads", graph.linear([name + "q_proj"], at + "query", state, shrink), shape.decoder_heads)
    scores = graph.node("MatMul", [query, f"cross_key.{layer}"], at + "scores")
    context = graph.attend(at, scores, source, f"cross_value.{layer}")
    return graph.linear([name + "out_proj"], at + "attended", context)


def _best(graph: Graph, state: str) -> None:
    """The word table once more, log-softmax, top `width`: only that leaves the graph."""
    table, bias = graph.bart["shared.weight"], graph.bart["final_logits_bias"]
    rows = graph.node("Reshape", [state, graph.ints(-1, graph.bart.shape.hidden)], "rows")
    if graph.precision == "fp32":
        logits = graph.node("Gemm", [rows, graph.large("words", table)], "logits", transB=1)
    else:
        logits = graph.product("logits", rows, np.ascontiguousarray(table.T))
    if bias.any():
        logits = graph.node("Add", [logits, graph.small("logits.bias", bias)], "logits.biased")
    log_probs = graph.node("LogSoftmax", [logits], "log_probs", axis=-1)
    graph.nodes.append(
        helper.make_node("TopK", [log_probs, "width"], ["scores", "ids"], name="best", axis=-1, largest=1, sorted=1)
    )


def _inputs(bart: Bart) -> dict[str, tuple[int, Dims]]:
    plain: dict[str, tuple[int, Dims]] = {
        "tokens": (TensorProto.INT64, ["batch", "beams"]),
        "positions": (TensorProto.INT64, ["batch"]),
        "owner": (TensorProto.INT64, ["batch"]),
        "keep": (TensorProto.INT64, ["batch", "kept"]),
        "lineage": (TensorProto.FLOAT, ["batch", "beams", "seen"]),
        "width": (TensorProto.INT64, [1]),
        "attention_mask": (TensorProto.INT64, ["batch", "tokens"]),
    }
    return plain | cross_dims(bart) | _cache_dims(bart, "past", "batch_before", "slots_before")


def _outputs(bart: Bart) -> dict[str, tuple[int, Dims]]:
    best: dict[str, tuple[int, Dims]] = {
        "scores": (TensorProto.FLOAT, ["rows", "width"]),
        "ids": (TensorProto.INT64, ["rows", "width"]),
    }
    return best | _cache_dims(bart, "present", "batch", "seen")


def _cache_dims(bart: Bart, when: str, batch: str, slots: str) -> dict[str, tuple[int, Dims]]:
    heads = bart.shape.decoder_heads
    dims: Dims = [batch, heads, slots, bart.shape.hidden // heads]
    layers = range(bart.shape.decoder_layers)
    return {f"{when}_{part}.{layer}": (TensorProto.FLOAT, dims) for layer in layers for part in ("key", "value")}
