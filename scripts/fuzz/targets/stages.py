"""stages.json and the header of the weights file, in a manifest that lists them as they are.

Read up to the bytes of weights that a run within a memory limit is given.
"""

from __future__ import annotations

import ctypes
import json
import math
import random
import struct
from typing import Any

import numpy as np

from fuzz import made_up
from fuzz.blind import LONG_LENGTHS, mutated_bytes
from fuzz.target import Files, Target, WrongError, plain_json, require_equal
from fuzz.trees import mutated_tree
from fuzz.values import RAW_JSON, encoded, to_json
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.stages.memory_limit import Shape, choose
from seedtune.runtime.stages.streaming import StageFiles
from seedtune.runtime.stages.weights import StreamedWeights

STAGES, WEIGHTS, MANIFEST = "stages.json", "weights.safetensors", "manifest.json"
LIMIT_BYTES = 100_000_000
SHAPE = Shape(
    longest_tokens=8, longest_context=16, longest_read=16, tokens_wanted=64, parameters=128, context_bytes=400
)
SIZES = {"F32": 4, "U8": 1, "I8": 1, "I32": 4, "I64": 8, "BOOL": 1, "F16": 2, "BF16": 2}


class StagesTarget(Target):
    """stages.json."""

    name = "stages"

    def make(self) -> dict[str, bytes]:
        """A whole bundle."""
        return made_up.bundle()

    def mutated(self, generator: random.Random) -> Files:
        """See the class."""
        raw = self.whole[STAGES]
        if generator.random() < 0.2:
            return self._with(STAGES, mutated_bytes(generator, raw))
        return self._with(STAGES, encoded(to_json(mutated_tree(generator, json.loads(raw), RAW_JSON))))

    def _with(self, name: str, raw: bytes) -> Files:
        files = self.whole | {name: raw}
        return {name: raw, MANIFEST: json.dumps(made_up.sealed(json.loads(files[MANIFEST]), files)).encode()}

    def read(self) -> None:
        """Chooses how to stay within a limit, and reads the weights of every stage."""
        bundle = Bundle.open(self.folder)
        files = StageFiles.of(bundle)
        raw = (self.folder / WEIGHTS).read_bytes()
        written = plain_json((self.folder / STAGES).read_bytes())
        found = {name: len(stages) for name, stages in files.plan.graphs.items()}
        require_equal(found, {name: len(stages) for name, stages in written["graphs"].items()}, "stages")
        entries = self._tensors(files, raw)
        try:
            choice = choose(LIMIT_BYTES, files.plan, files.tensors, SHAPE, 0)
        except SeedTuneError as error:
            # The limit is ours, not the file's.
            require_equal(error.file, None, "file of a limit that is too small")
            return
        # The real graphs would be opened now; the choice may ask for more than this process is to hold.
        buffer_bytes = min(choice.buffer_bytes, 1 << 20)
        weights = StreamedWeights(files.tensors, files.plan.roles, buffer_bytes, choice.kept)
        try:
            for name, stages in files.plan.graphs.items():
                self._stages(weights, stages, written["graphs"][name], entries)
        finally:
            weights.close()

    def _tensors(self, files: StageFiles, raw: bytes) -> dict[str, bytes]:
        """Name -> bytes by a plain reading of the header; the reader must have the same."""
        length = int.from_bytes(raw[:8], "little")
        header = plain_json(raw[8 : 8 + length])
        entries = {}
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            start, end = entry["data_offsets"]
            shape = list(entry["shape"])
            require_equal(end - start, math.prod(shape) * SIZES[entry["dtype"]], f"bytes of {name}")
            if min([*shape, start]) < 0 or 8 + length + end > len(raw):
                raise WrongError(f"accepted {name} {entry}")
            entries[name] = raw[8 + length + start : 8 + length + end]
            tensor = files.tensors[name]
            if name in files.plan.packed:
                shape[-1] *= 2
            require_equal(list(tensor.shape), shape, f"shape of {name}")
            require_equal(tensor.size_bytes, end - start, f"size of {name}")
            require_equal(raw[tensor.offset : tensor.offset + tensor.size_bytes], entries[name], f"place of {name}")
        require_equal(set(files.tensors), set(entries), "names")
        return entries

    def _stages(self, weights: StreamedWeights, stages: Any, written: Any, entries: dict[str, bytes]) -> None:
        names = [list(dict.fromkeys(stage.weights.values())) for stage in stages]
        for stage, of_file, addresses in zip(stages, written, weights.passes(names), strict=True):
            require_equal(stage.weights, of_file["weights"], "weights of a stage")
            for name in stage.weights.values():
                require_equal(ctypes.string_at(addresses[name], len(entries[name])), entries[name], name)
            for key, integers in stage.numbers.items():
                found = np.array(integers.values, np.int64).reshape(integers.shape)
                require_equal(found.reshape(-1).tolist(), of_file["numbers"][key]["values"], key)
            for key, (_, layer) in stage.layers.items():
                require_equal(layer, of_file["layers"][key][1], key)
                if not 0 <= layer < 2:
                    raise WrongError(f"accepted layer {layer} of a context of 2 layers")


class WeightsTarget(StagesTarget):
    """The header of weights.safetensors."""

    name = "weights"

    def mutated(self, generator: random.Random) -> Files:
        """See the class."""
        raw = self.whole[WEIGHTS]
        length = int.from_bytes(raw[:8], "little")
        kind = generator.random()
        if kind < 0.2:
            return self._with(WEIGHTS, mutated_bytes(generator, raw, [0, 8, 8 + length, len(raw)]))
        if kind < 0.25:
            return self._with(WEIGHTS, struct.pack("<Q", generator.choice(LONG_LENGTHS)) + raw[8:])
        header = mutated_tree(generator, made_up.weights_header(), RAW_JSON)
        return self._with(WEIGHTS, made_up.safetensors(encoded(to_json(header)), made_up.weights_data()))
