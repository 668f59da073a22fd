"""What a graph of a bundle may be: known operators over tensors, and weights in the bundle's own files.

A bundle may come from anyone, and its graphs are programs. So before ONNX Runtime sees one, every node is looked at:

1. Operators are standard ones that compute tensors from tensors, and of ONNX Runtime's own the one that exports use.
   There are no functions of a file's own, no other domains, no text, no pictures and no randomness.
2. No node has a graph inside, but for the loop of the update graph: what a call costs can be read off its inputs.
3. Values that do not lie in the graph lie in a file of weights beside it, within its size.

Field numbers are those of onnx.proto (github.com/onnx/onnx, IR version 10).
"""

from __future__ import annotations

from pathlib import Path

from seedtune.runtime.bundle.host_files import CONTEXT_WEIGHTS
from seedtune.runtime.bundle.objective import WEIGHTS
from seedtune.runtime.bundle.protobuf import WireError, fields
from seedtune.runtime.decoding import read_plain_file
from seedtune.runtime.errors import SeedTuneError

# Of onnx.proto, by message.
MODEL_GRAPH, MODEL_TRAINING, MODEL_FUNCTIONS = 7, 20, 25
GRAPH_NODE, GRAPH_INITIALIZER, GRAPH_SPARSE = 1, 5, 15
NODE_OPERATOR, NODE_ATTRIBUTE, NODE_DOMAIN = 4, 5, 7
ATTRIBUTE_TENSOR, ATTRIBUTE_GRAPH, ATTRIBUTE_TENSORS, ATTRIBUTE_GRAPHS, ATTRIBUTE_SPARSE = 5, 6, 10, 11, (22, 23)
TENSOR_EXTERNAL, TENSOR_LOCATION = 13, 14
ENTRY_KEY, ENTRY_VALUE = 1, 2
EXTERNAL = 1
# The only graph with one inside: it applies recorded steps one after another.
UPDATE_FILE, LOOP = "update.onnx", "Loop"
STANDARD, CONTRIBUTED = ("", "ai.onnx"), "com.microsoft"
CONTRIBUTED_OPERATORS = frozenset({"MatMulIntegerToFloat"})
# Of opset 21 and later; left out are graphs inside nodes, sequences, optionals, text, pictures and randomness.
STANDARD_NAMES = """
Abs Acos Acosh Add AffineGrid And ArgMax ArgMin Asin Asinh Atan Atanh Attention AveragePool BatchNormalization
BitCast BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor BlackmanWindow Cast CastLike Ceil Celu CenterCropPad
Clip Col2Im Compress Concat Constant ConstantOfShape Conv ConvInteger ConvTranspose Cos Cosh CumProd CumSum DFT
DeformConv DepthToSpace DequantizeLinear Det Div Dropout DynamicQuantizeLinear Einsum Elu Equal Erf Exp Expand
EyeLike Flatten Floor GRU Gather GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalLpPool GlobalMaxPool
Greater GreaterOrEqual GridSample GroupNormalization HammingWindow HannWindow HardSigmoid HardSwish Hardmax Identity
InstanceNormalization IsInf IsNaN LRN LSTM LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax
LpNormalization LpPool MatMul MatMulInteger Max MaxPool MaxRoiPool MaxUnpool Mean MeanVarianceNormalization
MelWeightMatrix Min Mish Mod Mul Neg NegativeLogLikelihoodLoss NonMaxSuppression NonZero Not OneHot Or PRelu Pad Pow
QLinearConv QLinearMatMul QuantizeLinear RMSNormalization RNN Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum
ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize RoiAlign
RotaryEmbedding Round STFT ScatterElements ScatterND Selu Shape Shrink Sigmoid Sign Sin Sinh Size Slice Softmax
SoftmaxCrossEntropyLoss Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Swish Tan Tanh TensorScatter
ThresholdedRelu Tile TopK Transpose Trilu Unique Unsqueeze Where Xor
"""
STANDARD_OPERATORS = frozenset(STANDARD_NAMES.split())
REMEDY = "do not use this bundle, or export it again from a model that you trust"


def require_harmless(path: Path) -> None:
    """Raises SeedTuneError unless the graph in the file ``path`` is one that a bundle may have."""
    raw = memoryview(read_plain_file(path, "the graph", REMEDY))
    try:
        graphs = []
        for number, value in fields(raw):
            if number in (MODEL_TRAINING, MODEL_FUNCTIONS):
                what = "functions of its own" if number == MODEL_FUNCTIONS else "a training graph"
                raise _refused(path, f"the graph brings {what}", what, "operators that everybody knows")
            if number == MODEL_GRAPH:
                graphs.append(_bytes(value))
        for graph in graphs:
            _check_graph(graph, path, inside=False)
    except WireError as error:
        raise _refused(path, "the graph is no ONNX file", str(error), "a model as seedtune export writes it") from error


def _check_graph(graph: memoryview, path: Path, inside: bool) -> None:
    for number, value in fields(graph):
        if number == GRAPH_NODE:
            _check_node(_bytes(value), path, inside)
        elif number == GRAPH_INITIALIZER:
            _check_tensor(_bytes(value), path)
        elif number == GRAPH_SPARSE:
            raise _refused(path, "the graph has a sparse tensor", "sparse_initializer", "dense tensors")


def _check_node(node: memoryview, path: Path, inside: bool) -> None:
    operator = domain = ""
    attributes = []
    for number, value in fields(node):
        if number == NODE_OPERATOR:
            operator = _text(value)
        elif number == NODE_DOMAIN:
            domain = _text(value)
        elif number == NODE_ATTRIBUTE:
            attributes.append(_bytes(value))
    loops = operator == LOOP and domain in STANDARD and path.name == UPDATE_FILE and not inside
    known = operator in (CONTRIBUTED_OPERATORS if domain == CONTRIBUTED else STANDARD_OPERATORS)
    if not loops and (domain not in (*STANDARD, CONTRIBUTED) or not known):
        named = f"{domain}.{operator}" if domain else operator
        rule = "operators that compute tensors from tensors, without graphs inside; see docs/security.md"
        raise _refused(path, "the graph has an operator that no bundle needs", named, rule)
    for attribute in attributes:
        _check_attribute(attribute, path, loops)


def _check_attribute(attribute: memoryview, path: Path, loops: bool) -> None:
    for number, value in fields(attribute):
        if number in (ATTRIBUTE_TENSOR, ATTRIBUTE_TENSORS):
            _check_tensor(_bytes(value), path)
        elif number == ATTRIBUTE_GRAPH and loops:
            _check_graph(_bytes(value), path, inside=True)
        elif number in (ATTRIBUTE_GRAPH, ATTRIBUTE_GRAPHS, *ATTRIBUTE_SPARSE):
            raise _refused(path, "a node of the graph holds what no bundle needs", f"field {number}", "plain values")


def _check_tensor(tensor: memoryview, path: Path) -> None:
    entries: dict[str, str] = {}
    external = False
    for number, value in fields(tensor):
        if number == TENSOR_LOCATION:
            external = value == EXTERNAL
        elif number == TENSOR_EXTERNAL:
            key, text = _entry(_bytes(value))
            entries[key] = text
    if not external and not entries:
        return
    location = entries.get("location", "")
    if location not in (WEIGHTS, CONTEXT_WEIGHTS):
        rule = f"values in the graph, in {WEIGHTS} or in {CONTEXT_WEIGHTS}"
        raise _refused(path, "the graph reads a file that is not the bundle's", location, rule)
    offset, length = (entries.get(name, "0") for name in ("offset", "length"))
    beside = path.with_name(location)
    size = beside.stat().st_size if beside.is_file() else 0
    numbers = offset.isascii() and offset.isdigit() and length.isascii() and length.isdigit()
    if not numbers or int(offset) + int(length) > size:
        rule = f"within {location}, which has {size:,} bytes"
        raise _refused(path, "the graph reads behind the end of the weights", f"{length} bytes at {offset}", rule)


def _entry(raw: memoryview) -> tuple[str, str]:
    found = {number: _text(value) for number, value in fields(raw) if number in (ENTRY_KEY, ENTRY_VALUE)}
    return found.get(ENTRY_KEY, ""), found.get(ENTRY_VALUE, "")


def _bytes(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise WireError("a number where a message belongs")
    return value


def _text(value: int | memoryview) -> str:
    return bytes(_bytes(value)).decode("utf-8", "replace")


def _refused(path: Path, what: str, value: str, rule: str) -> SeedTuneError:
    return SeedTuneError(what, file=path, value=value, rule=rule, remedy=REMEDY)
