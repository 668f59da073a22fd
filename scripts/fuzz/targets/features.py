"""Features, as an export of heads reads them; and the rows that a bundle of heads has of them."""

from __future__ import annotations

import io
import json
import math
import random
import zipfile

import numpy as np

from fuzz.blind import mutated_bytes
from fuzz.target import ODD, Files, Target, require_equal
from fuzz.trees import mutated_tree
from fuzz.values import RAW_JSON, encoded, pairs_of, to_json
from seedtune.exporter.heads.features import FEATURES, read_features
from seedtune.runtime.arrays import encode_arrays, read_arrays
from seedtune.runtime.bundle.heads import ROWS


def arrays() -> dict[str, np.ndarray]:
    """A few rows of everything that contrastive features can have."""
    generator = np.random.default_rng(1)
    return {
        "features": generator.standard_normal((6, 4)).astype(np.float32),
        "labels": np.array([0, 1, 0, 1, -1, 0]),
        "positive_offsets": np.array([0, 1, 2, 3, 3, 4, 5]),
        "positives": np.array([1, 0, 3, 5, 4]),
    }


class FeaturesTarget(Target):
    """An .npz of features."""

    name = "features"

    def make(self) -> dict[str, bytes]:
        """See `Target`."""
        file = io.BytesIO()
        np.savez(file, **arrays())  # type: ignore[arg-type]
        return {FEATURES: file.getvalue(), "features.json": b'{"recipe": "none"}'}

    def mutated(self, generator: random.Random) -> Files:
        """See `Target`."""
        if generator.random() < 0.05:
            return {FEATURES: generator.choice(ODD)}
        if generator.random() < 0.2:
            told = mutated_tree(generator, {"recipe": "none", "settings": {"k": 10}}, RAW_JSON)
            return {"features.json": encoded(to_json(pairs_of(told)))}
        return {FEATURES: mutated_bytes(generator, self.whole[FEATURES])}

    def read(self) -> None:
        """See `Target`: what is accepted is what the archive's members hold."""
        found = read_features(self.folder)
        values, labels = found.matrix("features"), found.integers("labels", least=-1)
        with zipfile.ZipFile(self.folder / FEATURES) as archive:
            for name, taken in (("features", values), ("labels", labels)):
                given = found.arrays[name]
                raw = archive.read(f"{name}.npy")
                data = np.frombuffer(raw[len(raw) - given.nbytes :], given.dtype)
                turned = b"'fortran_order': True" in raw[:128]
                shaped = data.reshape(given.shape[::-1]).T if turned else data.reshape(given.shape)
                require_equal(shaped.astype(taken.dtype).tolist(), taken.tolist(), name)


class RowsTarget(Target):
    """``rows.safetensors`` of a bundle."""

    name = "rows"

    def make(self) -> dict[str, bytes]:
        """See `Target`."""
        return {ROWS: b"".join(encode_arrays({name: np.asarray(values) for name, values in arrays().items()}))}

    def mutated(self, generator: random.Random) -> Files:
        """See `Target`."""
        whole = self.whole[ROWS]
        if generator.random() < 0.05:
            return {ROWS: generator.choice(ODD)}
        if generator.random() < 0.3:
            return {ROWS: mutated_bytes(generator, whole)}
        length = int.from_bytes(whole[:8], "little")
        told = mutated_tree(generator, json.loads(whole[8 : 8 + length]), RAW_JSON)
        header = encoded(to_json(pairs_of(told)))
        return {ROWS: len(header).to_bytes(8, "little") + header + whole[8 + length :]}

    def read(self) -> None:
        """See `Target`: what is accepted is what the header says, byte for byte."""
        found = read_arrays(self.folder / ROWS)
        raw = (self.folder / ROWS).read_bytes()
        length = int.from_bytes(raw[:8], "little")
        header = json.loads(raw[8 : 8 + length])
        header.pop("__metadata__", None)
        require_equal(sorted(found), sorted(header), "names")
        for name, entry in header.items():
            first, last = entry["data_offsets"]
            require_equal(found[name].tobytes(), raw[8 + length + first : 8 + length + last], name)
            require_equal(list(found[name].shape), entry["shape"], f"the shape of {name}")
            require_equal(found[name].size, math.prod(entry["shape"]), f"the size of {name}")
