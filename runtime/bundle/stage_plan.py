"""The stages of a bundle's graphs: what ``stages.json`` holds.

A stage is a part of a graph with the matrices that it reads. Stages run in order, and each runs for all batches before
the next one does, so that a matrix is read once for all of them. Layers of the same shape share one stage graph: what
differs between them (weights, their places in the state) are inputs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from seedtune.runtime.errors import SeedTuneError

STAGES = "stages.json"
# The inputs of a suffix graph that have the layers of the model as their first axis.
LAYERED = ("keys", "values", "key_scales", "value_scales")

Role = Literal["streamed", "mapped", "resident"]


class Numbers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An int64 constant that differs between stages of one stage graph: ``values`` in row-major order."""

    shape: tuple[int, ...]
    values: tuple[int, ...]


class Stage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One stage.

    Attributes:
        graph: the file of the stage graph.
        values: input of the stage graph -> input of the whole graph, or value of an earlier stage.
        layers: input -> (input of the whole graph in LAYERED, layer): that layer of it.
        weights: input -> tensor of the weights file.
        numbers: input -> its values.
        outputs: output of the stage graph -> name of the value, which may be an output of the whole graph.
    """

    graph: str
    values: dict[str, str]
    layers: dict[str, tuple[str, int]]
    weights: dict[str, str]
    numbers: dict[str, Numbers]
    outputs: dict[str, str]


class BatchBytes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bytes of B rows of T tokens with prefixes of P tokens: fixed + B (T token + T^2 pair + T P reach + P prefix)."""

    fixed: float
    token: float
    pair: float
    reach: float
    prefix: float

    def of(self, rows: int, tokens: int, prefix: int = 0) -> int:
        """Bytes of ``rows`` rows of ``tokens`` tokens with prefixes of ``prefix`` tokens."""
        of_row = tokens * self.token + tokens * tokens * self.pair + tokens * prefix * self.reach + prefix * self.prefix
        return int(self.fixed + rows * of_row)


class GraphMemory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a batch takes: ``held`` between stages, and ``running`` on top while the most demanding stage runs."""

    held: BatchBytes
    running: BatchBytes


class StagePlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All stages of a bundle.

    Attributes:
        graphs: graph ("probe", "eval", "prefix") -> its stages in order.
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
    try:
        plan = msgspec.json.decode(raw, type=StagePlan)
    except msgspec.DecodeError as error:
        raise SeedTuneError(
            f"the stages cannot be read ({error})",
            file=path,
            rule="see docs/reference/bundle.md",
            remedy="export it again",
        ) from error
    for stage in (stage for stages in plan.graphs.values() for stage in stages):
        unknown = [name for name in stage.weights.values() if name not in plan.roles]
        unknown += [name for name, _ in stage.layers.values() if name not in LAYERED]
        if "/" in stage.graph or unknown:
            raise SeedTuneError(
                "the stages do not fit together",
                file=path,
                value=unknown[0] if unknown else stage.graph,
                rule="stage graphs beside stages.json, and tensors that the plan lists",
                remedy="export the bundle again",
            )
    return plan
