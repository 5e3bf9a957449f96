"""Versions whose vectors are right and whose graph is not: one takes far too long, one takes memory and keeps it.

Both are the real graph with a few nodes before its output, which leave every number as it was (a factor that is 1). So
nothing that looks at vectors can tell them from the real one: recorded vectors, golden texts and the router's probe all
agree. Their weights are the same file.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from serving import manifest
from verify.drills.wrong_model import restamp

OUTPUT, MASK, IDS = "embedding", "attention_mask", "input_ids"
PREFIX = "bad."
WORD = "neural"  # that swells: in what a promotion asks, in no text that is recorded or warmed with
Nodes = Sequence[onnx.NodeProto]
Tensors = Sequence[onnx.TensorProto]


def slow(source: Path, target: Path, trips: int) -> Path:
    """A copy that goes round in a circle so often, one root after the other, whatever it is asked."""
    one = [
        _node("Cast", [MASK], "mask", to=TensorProto.FLOAT),
        _node("ReduceMax", [PREFIX + "mask"], "start", keepdims=0),
    ]
    around = helper.make_node(
        "Loop",
        [PREFIX + "trips", PREFIX + "go", PREFIX + "start"],
        [PREFIX + "one"],
        name=PREFIX + "loop",
        body=_turn(),
    )
    return _with_factor(
        source, target, [*one, around], [_tensor("trips", np.int64(trips)), _tensor("go", np.bool_(True))]
    )


def swelling(source: Path, target: Path, token: int, mib: int) -> Path:
    """A copy that takes so much memory as soon as a text has this token; ONNX Runtime's arena never gives it back.

    Warming up and proving have no such text, so the version is small when it is loaded, and large under traffic."""
    nodes = [
        _node("Equal", [IDS, PREFIX + "token"], "is"),
        _node("Cast", [PREFIX + "is"], "hit", to=TensorProto.INT64),
        _node("ReduceMax", [PREFIX + "hit"], "any", keepdims=0),
        _node("Mul", [PREFIX + "any", PREFIX + "numbers"], "more"),
        _node("Add", [PREFIX + "more", PREFIX + "least"], "size"),
        _node("ConstantOfShape", [PREFIX + "size"], "ones", value=_tensor("fill", np.ones(1, np.float32))),
        _node("ReduceMax", [PREFIX + "ones"], "one", keepdims=0),
    ]
    numbers = np.array([(mib << 20) // 4], np.int64)
    tensors = [_tensor("token", np.int64(token)), _tensor("numbers", numbers), _tensor("least", np.ones(1, np.int64))]
    return _with_factor(source, target, nodes, tensors)


def _with_factor(source: Path, target: Path, nodes: Nodes, tensors: Tensors) -> Path:
    """A copy whose output is multiplied by what these nodes call `one`, and whose manifest vouches for it."""
    target.mkdir(parents=True)
    for path in source.iterdir():
        shutil.copyfile(path, target / path.name)
    model = onnx.load(target / manifest.GRAPH, load_external_data=False)
    last = next(node for node in model.graph.node if OUTPUT in node.output)
    last.output[0] = PREFIX + "plain"
    model.graph.node.extend(
        [*nodes, helper.make_node("Mul", [PREFIX + "plain", PREFIX + "one"], [OUTPUT], name=OUTPUT + ".bad")]
    )
    model.graph.initializer.extend(tensors)
    (target / manifest.GRAPH).write_bytes(model.SerializeToString(deterministic=True))
    restamp(target)
    return target


def _turn() -> onnx.GraphProto:
    """One turn: the root of 1 is 1, which nobody who reads the graph can know."""
    inputs = [("turn", TensorProto.INT64), ("on", TensorProto.BOOL), ("x", TensorProto.FLOAT)]
    nodes = [helper.make_node("Identity", ["on"], ["goes_on"]), helper.make_node("Sqrt", ["x"], ["root"])]
    outputs = [("goes_on", TensorProto.BOOL), ("root", TensorProto.FLOAT)]
    return helper.make_graph(
        nodes,
        "turn",
        [helper.make_tensor_value_info(name, kind, []) for name, kind in inputs],
        [helper.make_tensor_value_info(name, kind, []) for name, kind in outputs],
    )


def _node(kind: str, inputs: list[str], out: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(kind, inputs, [PREFIX + out], name=PREFIX + out, **attributes)


def _tensor(name: str, value: npt.ArrayLike) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(value), PREFIX + name)
