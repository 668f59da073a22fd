"""GGUF files: the header against a plain reading, and the whole model as export opens it."""

from __future__ import annotations

import dataclasses
import random
import struct
from typing import Any

from fuzz.blind import LONG_LENGTHS, mutated_bytes
from fuzz.gguf_bytes import ARRAY, STRING, Described, Field, Plain, encoded_value, file_bytes, header_bytes
from fuzz.gguf_model import model_fields, model_tensors
from fuzz.target import ODD, Files, Target, WrongError, require_equal
from fuzz.values import TEXTS
from seedtune.exporter.checkpoint import open_checkpoint
from seedtune.exporter.checkpoint.gguf.header import read_header, read_texts

FILE = "model.gguf"
MERGES = "tokenizer.ggml.merges"
KINDS = (*range(14), 2**31, 2**32 - 1)
FLOATS = (0.0, -1.0, float("nan"), float("inf"), 1e-38)
KEYS = ("general.architecture", "split.count", "general.alignment", "llama.block_count", "llama.expert_count", "x")
NUMBERS = (0, 1, 2, 3, 31, 33, 64, 2**16, *LONG_LENGTHS)


class HeaderTarget(Target):
    """The header alone."""

    name = "gguf"

    def make(self) -> dict[str, bytes]:
        """A tiny Llama."""
        self._fields, (self._tensors, self._data) = model_fields(), model_tensors()
        self._start = len(header_bytes(self._fields, self._tensors))
        at = self._boundaries = [0, 4, 8, 16, 24]
        for field in self._fields:
            at += [at[-1] + 8, at[-1] + 8 + len(field.key), at[-1] + 12 + len(field.key)]
            at.append(at[-1] + len(encoded_value(field.kind, field.value)))
        at.append(self._start)
        return {FILE: file_bytes(self._fields, self._tensors, self._data)}

    def mutated(self, generator: random.Random) -> Files:
        """See the class."""
        kind = generator.random()
        if kind < 0.005:
            return {FILE: generator.choice(ODD)}
        if kind < 0.35:
            # The data says nothing here: most changes go into the header.
            raw = self.whole[FILE]
            if generator.random() < 0.8:
                return {FILE: mutated_bytes(generator, raw[: self._start], self._boundaries) + raw[self._start :]}
            return {FILE: mutated_bytes(generator, raw, [*self._boundaries, len(raw)])}
        fields, tensors = list(self._fields), list(self._tensors)
        for _ in range(generator.choice((1, 1, 1, 2, 3))):
            if generator.random() < 0.6:
                _change_field(generator, fields)
            else:
                _change_tensor(generator, tensors)
        return {FILE: file_bytes(fields, tensors, self._data)}

    def read(self) -> None:
        """Reads header and merges; both must be what a plain reading finds."""
        path = self.folder / FILE
        header = read_header(path)
        merges = read_texts(path, MERGES)
        raw = path.read_bytes()
        try:
            plain = Plain(raw)
        except (ValueError, KeyError, struct.error, ZeroDivisionError) as error:
            raise WrongError(f"accepted, but read plainly it is no GGUF: {error!r}") from error
        require_equal(header.fields, plain.fields, "fields")
        require_equal(len(plain.keys), len(set(plain.keys)), "keys, each once")
        require_equal(merges, plain.arrays.get(MERGES), "merges")
        require_equal([each.name.encode() for each in header.tensors], [each.name for each in plain.described], "names")
        for found, described in zip(header.tensors, plain.described, strict=True):
            require_equal(int(found.tensor_type), described.kind, f"type of {found.name}")
            at = plain.start + described.offset
            require_equal(found.data.tobytes(), raw[at : at + found.data.nbytes], f"bytes of {found.name}")
            count = 1
            for length in described.dimensions:
                count *= length
            if described.kind in (0, 1):
                require_equal(found.data.shape[::-1], described.dimensions, f"shape of {found.name}")
            elif described.kind == 8:
                require_equal(found.data.nbytes * 32, count * 34, f"size of {found.name}")


class ModelTarget(HeaderTarget):
    """The whole model, up to its tensors."""

    name = "gguf-model"

    def read(self) -> None:
        """Opens it, tokenises, and reads all tensors once."""
        checkpoint = open_checkpoint(str(self.folder / FILE))
        ids = checkpoint.tokenizer.encode("a good film").ids
        require_equal(bool(ids), True, "tokens")
        found = {name: tensor.shape for name, tensor in checkpoint.tensors()}
        plain = Plain((self.folder / FILE).read_bytes())
        require_equal(len(found), len(plain.described), "tensors")
        require_equal(checkpoint.config.num_hidden_layers, plain.fields["llama.block_count"], "layers")
        require_equal(checkpoint.config.hidden_size, plain.fields["llama.embedding_length"], "width")
        if "llama.context_length" in plain.fields:
            require_equal(checkpoint.max_positions, plain.fields["llama.context_length"], "positions")


def _change_field(generator: random.Random, fields: list[Field]) -> None:
    place = generator.randrange(len(fields))
    field = fields[place]
    change = generator.randrange(8)
    if change == 0:
        fields[place] = dataclasses.replace(field, key=generator.choice(TEXTS[:20]).encode("utf-8", "surrogatepass"))
    elif change == 1:
        del fields[place]
    elif change == 2:
        fields.insert(generator.randint(0, len(fields)), field)
    elif change == 3:
        generator.shuffle(fields)
    elif change == 4:
        key = generator.choice(KEYS).encode()
        fields.insert(generator.randint(0, len(fields)), Field(key, *_value(generator)))
    elif change == 5 and field.kind == ARRAY:
        inner, length, values = field.value
        length = generator.choice((length + 1, length - 1, *LONG_LENGTHS))
        fields[place] = dataclasses.replace(field, value=(inner, length, values[: max(0, min(length, len(values)))]))
    else:
        kind, value = _value(generator)
        fields[place] = dataclasses.replace(field, kind=kind, value=value)


def _value(generator: random.Random) -> tuple[int, Any]:
    kind = generator.choice(KINDS)
    if kind == STRING:
        return kind, generator.choice((*(text.encode("utf-8", "surrogatepass") for text in TEXTS), b"\xff\xfe"))
    if kind == ARRAY:
        inner = generator.choice((0, 4, 5, 6, 7, STRING))
        values = [_scalar(generator, inner) for _ in range(generator.choice((0, 1, 3)))]
        return kind, (inner, generator.choice((len(values), len(values), *LONG_LENGTHS)), values)
    return kind, _scalar(generator, kind)


def _scalar(generator: random.Random, kind: int) -> Any:
    if kind == STRING:
        return generator.choice((b"", b"llama", b"\xff"))
    if kind in (6, 12):
        return generator.choice(FLOATS)
    return generator.choice(NUMBERS)


def _change_tensor(generator: random.Random, tensors: list[Described]) -> None:
    place = generator.randrange(len(tensors))
    tensor = tensors[place]
    change = generator.randrange(7)
    if change == 0:
        name = generator.choice((tensors[0].name, b"", b"output.weight", b"blk.2.attn_q.weight", b"\xff"))
        tensors[place] = dataclasses.replace(tensor, name=name)
    elif change == 1:
        del tensors[place]
    elif change == 2:
        tensors.insert(place, tensor)
    elif change == 3:
        lengths = generator.choices((*tensor.dimensions, *NUMBERS), k=generator.choice((0, 1, 2, 2, 3, 5)))
        tensors[place] = dataclasses.replace(tensor, dimensions=tuple(lengths))
    elif change == 4:
        tensors[place] = dataclasses.replace(tensor, kind=generator.choice((*range(40), 2**32 - 1)))
    elif change == 5:
        tensors[place] = dataclasses.replace(tensor, offset=generator.choice((tensor.offset + 1, *LONG_LENGTHS)))
    else:
        tensors[place] = dataclasses.replace(tensor, dimensions=tensor.dimensions[::-1])
