"""What both graphs are written with: nodes in order, large tensors in one data file, fp32 or int8 products.

Opset 17, no tracing, no torch; in fp32 standard operators only. The data file is shared, so a table that both graphs
use (the words) lies there once, and both sessions map the same pages.

int8: a weight matrix is rounded per output column, its input per row at run time, and the product is of whole numbers.
A row's result therefore depends on that row alone, never on what else is in the batch. Rows are shifted to 1..255,
because the processor's instruction for this (VNNI) multiplies unsigned by signed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from serving.summarizer.weights import EPSILON, Array, Bart

OPSET = 17
RUNTIME = "com.microsoft"  # operators of ONNX Runtime itself, in int8 graphs only
IR_VERSION = 8  # what opset 17 came with: older runtimes read it too
ALIGNMENT = 65536  # of a tensor in the data file, so that it can be mapped as it lies
MASKED = -10000.0  # exp() of it is exactly 0 in fp32, and it still fits fp16
STEPS = 127.0  # of an int8 value on either side of zero

Precision = Literal["fp32", "int8"]
Dims = list[int | str]


@dataclass
class DataFile:
    """The file of large tensors while it is written; a name that comes again is not written again."""

    file: BinaryIO
    places: dict[str, onnx.TensorProto] = field(default_factory=dict)

    def put(self, name: str, value: npt.NDArray[np.generic]) -> onnx.TensorProto:
        """The tensor that points into the file."""
        if name not in self.places:
            raw = np.ascontiguousarray(value)
            self.file.write(bytes(-self.file.tell() % ALIGNMENT))
            kind = helper.np_dtype_to_tensor_dtype(raw.dtype)
            tensor = onnx.TensorProto(name=name, data_type=kind, dims=raw.shape, data_location=TensorProto.EXTERNAL)
            location = Path(self.file.name).name
            for key, entry in (("location", location), ("offset", self.file.tell()), ("length", raw.nbytes)):
                tensor.external_data.add(key=key, value=str(entry))
            self.file.write(raw.data)
            self.places[name] = tensor
        return self.places[name]


@dataclass
class Graph:
    """One graph while it is written."""

    bart: Bart
    data: DataFile
    precision: Precision
    rows: str  # the input [batch, tokens] of which each element is a row of every state
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    tensors: dict[str, onnx.TensorProto] = field(default_factory=dict)
    rounded: dict[str, tuple[str, str]] = field(default_factory=dict)  # by state, see _round and _per_row

    def node(self, kind: str, inputs: list[str], out: str, **attributes: Any) -> str:
        """Append an operator with one output and give that output's name."""
        self.nodes.append(helper.make_node(kind, inputs, [out], name=out, **attributes))
        return out

    def large(self, name: str, value: npt.NDArray[np.generic]) -> str:
        """A tensor kept in the data file."""
        self.tensors[name] = self.data.put(name, value)
        return name

    def small(self, name: str, value: npt.ArrayLike, dtype: type[np.generic] = np.float32) -> str:
        """A tensor kept in the graph itself (made once however often it is named)."""
        if name not in self.tensors:
            self.tensors[name] = onnx.numpy_helper.from_array(np.asarray(value, dtype), name)
        return name

    def ints(self, *values: int) -> str:
        """Whole numbers, as shapes, axes and indices want them."""
        return self.small("ints." + "_".join(map(str, values)), values, np.int64)

    def words(self, ids: str) -> str:
        """Word vectors of `ids`, scaled if the model says so.

        int8: as fp16, which is finer than all that follows and half as large."""
        table = self.bart["shared.weight"]
        if self.precision == "fp32":
            found = self.node("Gather", [self.large("words", table), ids], "embed.words")
        else:
            half = self.node("Gather", [self.large("words", table.astype(np.float16)), ids], "embed.half")
            found = self.node("Cast", [half], "embed.words", to=TensorProto.FLOAT)
        if not self.bart.shape.scaled:
            return found
        root = self.small("words.scale", math.sqrt(self.bart.shape.hidden))
        return self.node("Mul", [found, root], "embed.scaled")

    def linear(self, names: list[str], out: str, state: str, shrink: float = 1.0) -> str:
        """One product for several of the model's layers side by side; `shrink` multiplies the first one's output."""
        factors = [shrink, *[1.0] * (len(names) - 1)]
        weight = np.concatenate(
            [self.bart[n + ".weight"].T * np.float32(f) for n, f in zip(names, factors, strict=True)], 1
        )
        bias = np.concatenate([self.bart[n + ".bias"] * np.float32(f) for n, f in zip(names, factors, strict=True)])
        moved = [self.product(out, state, weight), self.small(out + ".bias", bias)]
        if self.precision == "fp32":
            return self.node("Add", moved, out)
        return self.node("Reshape", [self.node("Add", moved, out + ".flat"), self._per_row()[1]], out)

    def product(self, out: str, state: str, weight: Array) -> str:
        """`state` times `weight` [in, out], in this graph's precision; in int8 [rows, out]."""
        if self.precision == "fp32":
            return self.node("MatMul", [state, self.large(out + ".weight", weight)], out + ".product")
        scale = np.maximum(np.abs(weight).max(axis=0), np.finfo(np.float32).tiny) / np.float32(STEPS)
        whole = self.large(out + ".weight.int8", np.rint(weight / scale).astype(np.int8))
        bytes_, step = self._round(state, len(weight))
        scales = [self.small("round.one", 1.0), self.small(out + ".scale", scale)]
        zero = self.small("round.zero", 128, np.uint8)
        counted = self.node("MatMulIntegerToFloat", [bytes_, whole, *scales, zero], out + ".counted", domain=RUNTIME)
        return self.node("Mul", [counted, step], out + ".product")

    def _round(self, state: str, size: int) -> tuple[str, str]:
        """A state as bytes 1..255 around 128 [rows, size], and what one step of each row is worth [rows, 1]. A row of
        zeros gives a step of 0, so whatever its bytes are, its product is 0."""
        if state not in self.rounded:
            at = state + ".round."
            flat = self.node("Reshape", [state, self.ints(-1, size)], at + "flat")
            most = self.node("ReduceMax", [self.node("Abs", [flat], at + "size")], at + "most", axes=[1], keepdims=0)
            step = self.node("Mul", [most, self.small("round.share", 1.0 / STEPS)], at + "step")
            bytes_ = self.node("QuantizeLinear", [flat, step, self._per_row()[0]], at + "bytes", axis=0)
            self.rounded[state] = (bytes_, self.node("Unsqueeze", [step, self.ints(1)], at + "column"))
        return self.rounded[state]

    def _per_row(self) -> tuple[str, str]:
        """128 for every row, and the shape [batch, tokens, whatever is left]."""
        if self.rows not in self.rounded:
            shape = self.node("Shape", [self.rows], "round.shape")
            count = self.node("Unsqueeze", [self.node("Size", [self.rows], "round.size"), self.ints(0)], "round.count")
            middle = helper.make_tensor("middle", TensorProto.UINT8, [1], [128])
            middles = self.node("ConstantOfShape", [count], "round.middles", value=middle)
            rest = self.node("Concat", [shape, self.ints(-1)], "round.texts", axis=0)
            self.rounded[self.rows] = (middles, rest)
        return self.rounded[self.rows]

    def residual(self, name: str, out: str, change: str, state: str) -> str:
        """Layer norm `name` of the sum."""
        return self.norm(name, self.node("Add", [change, state], out))

    def norm(self, name: str, state: str) -> str:
        """Layer norm over the last axis."""
        scale = self.small(name + ".scale", self.bart[name + ".weight"])
        shift = self.small(name + ".shift", self.bart[name + ".bias"])
        return self.node("LayerNormalization", [state, scale, shift], name, axis=-1, epsilon=EPSILON)

    def feed_forward(self, at: str, state: str) -> str:
        """The second half of a block: two products around a GELU, then `final_layer_norm`."""
        inner = self._gelu(at, self.linear([at + "fc1"], at + "inner", state))
        return self.residual(at + "final_layer_norm", at + "sum", self.linear([at + "fc2"], at + "outer", inner), state)

    def _gelu(self, at: str, x: str) -> str:
        """x / 2 * (1 + erf(x / sqrt 2)), in the order ONNX Runtime recognises and fuses."""
        scaled = self.node("Div", [x, self.small("root2", math.sqrt(2.0))], at + "gelu.scaled")
        share = self.node(
            "Add", [self.node("Erf", [scaled], at + "gelu.erf"), self.small("one", 1.0)], at + "gelu.share"
        )
        return self.node("Mul", [self.node("Mul", [x, share], at + "gelu.twice"), self.small("half", 0.5)], at + "gelu")

    def heads(self, out: str, state: str, heads: int, *, turned: bool = False) -> str:
        """[batch, tokens, hidden] as [batch, heads, tokens, size], or `turned`: [batch, heads, size, tokens]."""
        shape = self.ints(0, 0, heads, self.bart.shape.hidden // heads)
        split = self.node("Reshape", [state, shape], out + ".split")
        return self.node("Transpose", [split], out, perm=[0, 2, 3, 1] if turned else [0, 2, 1, 3])

    def attend(self, at: str, scores: str, bias: str, value: str) -> str:
        """Softmax of biased scores over values, heads joined again: [batch, tokens, hidden]."""
        weights = self.node("Softmax", [self.node("Add", [scores, bias], at + "biased")], at + "weights", axis=-1)
        mixed = self.node("MatMul", [weights, value], at + "mixed")
        turned = self.node("Transpose", [mixed], at + "mixed.turned", perm=[0, 2, 1, 3])
        return self.node("Reshape", [turned, self.ints(0, 0, self.bart.shape.hidden)], at + "context")

    def padding_bias(self, mask: str) -> str:
        """0 where a token is, MASKED where padding is: int64 [batch, tokens] as [batch, 1, 1, tokens]."""
        there = self.node("Cast", [mask], "mask.there", to=TensorProto.FLOAT)
        padding = self.node("Sub", [self.small("one", 1.0), there], "mask.padding")
        flat = self.node("Mul", [padding, self.small("masked", MASKED)], "mask.flat")
        return self.node("Unsqueeze", [flat, self.ints(1, 2)], "mask.bias")

    def serialized(self, name: str, inputs: dict[str, tuple[int, Dims]], outputs: dict[str, tuple[int, Dims]]) -> bytes:
        """The checked graph. Same weights, same bytes."""
        made = helper.make_graph(
            self.nodes,
            name,
            [helper.make_tensor_value_info(key, kind, dims) for key, (kind, dims) in inputs.items()],
            [helper.make_tensor_value_info(key, kind, dims) for key, (kind, dims) in outputs.items()],
            list(self.tensors.values()),
        )
        # A graph's inputs do not tell how many words it knows, and what serves it reads nothing else.
        about = {"vocabulary": str(self.bart.shape.vocabulary), "positions": str(self.bart.shape.positions)}
        opset = [helper.make_opsetid("", OPSET), helper.make_opsetid(RUNTIME, 1)]
        model = helper.make_model(made, opset_imports=opset, ir_version=IR_VERSION, producer_name="tandem")
        helper.set_model_props(model, about)
        onnx.checker.check_model(_without_data(model))
        return bytes(model.SerializeToString(deterministic=True))


def _without_data(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph with its large tensors as inputs: what the checker can read without the data file."""
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    large = [tensor for tensor in bare.graph.initializer if tensor.data_location == TensorProto.EXTERNAL]
    for tensor in large:
        bare.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))
        bare.graph.initializer.remove(tensor)
    return bare
