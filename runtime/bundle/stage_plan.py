"""The stages of a bundle's graphs: what ``stages.json`` holds.

A stage is a part of a graph with the matrices that it reads. Stages run in order, and each runs for all batches before
the next one does, so that a matrix is read once for all of them. Layers of the same shape share one stage graph: what
differs between them (weights, their places in the state) are inputs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from seedtune.runtime.decoding import decoded
from seedtune.runtime.errors import SeedTuneError

STAGES = "stages.json"
# The inputs of a suffix graph that have the layers of the model as their first axis.
LAYERED = ("keys", "values", "key_scales", "value_scales")
# What update.onnx does is no work for stages: it reads no weights. Decoding reads all of them for every token.
UNSTAGED = {"update", "decode"}
# What a step runs: one of them in a run.
PROBE, GRADIENT = "probe", "gradient"
REMEDY = "export the bundle again"

Role = Literal["streamed", "mapped", "resident"]
Size = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
# Factors of bytes; the bound is a guess, far above any.
Factor = Annotated[float, Meta(ge=0, le=1e15)]


class Numbers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An int64 constant that differs between stages of one stage graph: ``values`` in row-major order."""

    shape: tuple[Size, ...]
    values: tuple[Int64, ...]


class Stage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One stage.

    Attributes:
        graph: the file of the stage graph.
        values: input of the stage graph -> input of the whole graph, or value of an earlier stage.
        layers: input -> (input of the whole graph in LAYERED, layer): that layer of it.
        weights: input -> tensor of the weights file.
        numbers: input -> its values.
        outputs: output of the stage graph -> name of the value, which may be an output of the whole graph.
        together: of these values, those that may be made for the rows of all calls at once, one behind the other: all
            of them, or none, or of the first stage those that follow from how many rows there are.
    """

    graph: str
    values: dict[str, str]
    layers: dict[str, tuple[str, Size]]
    weights: dict[str, str]
    numbers: dict[str, Numbers]
    outputs: dict[str, str]
    together: tuple[str, ...] = ()


class BatchBytes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bytes of B rows of T tokens with contexts of P tokens: fixed + B (T token + T^2 pair + T P reach + P context)."""

    fixed: Factor
    token: Factor
    pair: Factor
    reach: Factor
    context: Factor

    def of(self, rows: int, tokens: int, context: int = 0) -> int:
        """Bytes of ``rows`` rows of ``tokens`` tokens with contexts of ``context`` tokens."""
        of_row = tokens * self.token + tokens * tokens * self.pair
        return int(self.fixed + rows * of_row) + self.of_contexts(rows, tokens, context)

    def of_contexts(self, rows: int, tokens: int, context: int) -> int:
        """What of this is there for the contexts."""
        return int(rows * (tokens * context * self.reach + context * self.context))


class GraphMemory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a batch takes: ``held`` between stages, and ``running`` on top while the most demanding stage runs."""

    held: BatchBytes
    running: BatchBytes


class StagePlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All stages of a bundle.

    Attributes:
        graphs: graph ("probe", "eval", "context", "gradient") -> its stages in order.
        roles: tensor of the weights file -> "streamed" (a matrix, read when its stage runs), "mapped" (a table, of
            which rows are looked up), "resident" (small, read once).
        memory: graph -> what batches take.
        packed: tensors that hold two 4-bit values a byte.
    """

    graphs: dict[str, tuple[Stage, ...]]
    roles: dict[str, Role]
    memory: dict[str, GraphMemory]
    packed: tuple[str, ...] = ()

    @property
    def streamed(self) -> tuple[str, ...]:
        """The streamed tensors in the order in which a pass reads them."""
        return self._with_role("streamed")

    @property
    def resident(self) -> tuple[str, ...]:
        """The tensors that stay in memory."""
        return self._with_role("resident")

    def without(self, graph: str) -> StagePlan:
        """The plan of the other graphs, and of the tensors that they read."""
        return self._of(name for name in self.graphs if name != graph)

    def only(self, graph: str) -> StagePlan:
        """The plan of ``graph``, and of the tensors that it reads."""
        return self._of([graph])

    def _of(self, chosen: Iterable[str]) -> StagePlan:
        graphs = {name: self.graphs[name] for name in chosen}
        read = {name for stages in graphs.values() for stage in stages for name in stage.weights.values()}
        return StagePlan(
            graphs,
            {name: role for name, role in self.roles.items() if name in read},
            {name: self.memory[name] for name in graphs},
            tuple(name for name in self.packed if name in read),
        )

    def _with_role(self, role: Role) -> tuple[str, ...]:
        names = (name for stages in self.graphs.values() for stage in stages for name in stage.weights.values())
        return tuple(name for name in dict.fromkeys(names) if self.roles[name] == role)

    @property
    def files(self) -> tuple[str, ...]:
        """The files of all stage graphs, each once."""
        return tuple(dict.fromkeys(stage.graph for stages in self.graphs.values() for stage in stages))


def encode_plan(plan: StagePlan) -> bytes:
    """The plan as JSON."""
    return msgspec.json.encode(plan) + b"\n"


def decode_plan(raw: bytes, path: Path) -> StagePlan:
    """Parses and checks a plan.

    Raises:
        SeedTuneError: it does not follow its format, or a stage reads what no earlier one gives.
    """
    plan = decoded(raw, StagePlan, path, "the stages cannot be read", "see docs/reference/bundle.md", REMEDY)
    unknown = [name for name in plan.packed if name not in plan.roles]
    for stage in (stage for stages in plan.graphs.values() for stage in stages):
        unknown += [name for name in stage.weights.values() if name not in plan.roles]
        unknown += [name for name, _ in stage.layers.values() if name not in LAYERED]
        unknown += [name for name, each in stage.numbers.items() if math.prod(each.shape) != len(each.values)]
        unknown += [stage.graph] if "/" in stage.graph else []
    unknown += sorted(plan.graphs.keys() ^ plan.memory.keys())
    unknown += [name for name, stages in plan.graphs.items() if not stages]
    if unknown:
        raise SeedTuneError(
            "the stages do not fit together",
            file=path,
            value=unknown[0],
            rule="stage graphs beside stages.json, tensors that the plan lists, numbers that fill their shape, and "
            "stages and memory of each graph",
            remedy=REMEDY,
        )
    return plan


def require_fitting(plan: StagePlan, graphs: Iterable[str], layers: int, path: Path) -> None:
    """Raises SeedTuneError unless ``plan`` is one of a bundle of ``graphs`` whose contexts have ``layers`` layers."""
    wanted = set(graphs) - UNSTAGED
    # Bundles of an earlier day have a gradient graph without stages.
    strange = sorted((plan.graphs.keys() ^ wanted) - ({GRADIENT} & wanted))
    for stages in plan.graphs.values():
        strange += [f"{name} {layer}" for stage in stages for name, layer in stage.layers.values() if layer >= layers]
    if strange:
        raise SeedTuneError(
            "the stages are not those of this bundle",
            file=path,
            value=strange[0],
            rule=f"stages of {', '.join(sorted(wanted))}, and layers below {layers}",
            remedy=REMEDY,
        )
