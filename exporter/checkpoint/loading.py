"""One call into transformers' loader, its silent repairs turned into errors.

transformers initialises a missing weight at random and logs it; a run on such a model would measure noise.
"""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from seedtune.exporter.checkpoint.quiet import quiet
from seedtune.exporter.checkpoint.skeleton import FACTORIES, Attention, stored_tensors
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.task.structure import Family

# What transformers, safetensors and torch raise on files and configurations that do not belong together.
LOADER_ERRORS = (
    ImportError,
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    RuntimeError,
    AssertionError,
    NotImplementedError,
    SafetensorError,
    pickle.UnpicklingError,
)
SHOWN = 8
RENAME = (
    'python -c "from safetensors.torch import load_file, save_file; file = {file!r}; '
    "weights = {{name.removeprefix({prefix!r}): value for name, value in load_file(file).items()}}; "
    "save_file(weights, file, metadata={{'format': 'pt'}})\""
)
NUMBER = re.compile(r"(?<![^.])\d+(?![^.])")


def load_whole(
    folder: Path, family: Family, dtype: torch.dtype, attention: Attention, file: Path, **extra: Any
) -> nn.Module:
    """transformers' model of ``folder``, with every weight from its files.

    On CPU, tensors whose stored type is ``dtype`` stay views of the mapped file (safetensors, and .bin in zip
    format); the others are converted, and then cost memory.

    Args:
        folder: with the configuration and the weights.
        family: which head it has.
        dtype: of all floating-point tensors.
        attention: transformers' implementation of it.
        file: what an error names.
        extra: further arguments of ``from_pretrained`` (``use_safetensors``, ``gguf_file``).

    Raises:
        SeedTuneError: if a weight is missing, has another shape than the configuration says, or belongs to a layer
            that the configuration does not count.
    """
    try:
        with quiet():
            model, found = FACTORIES[family].from_pretrained(
                str(folder),
                dtype=dtype,
                attn_implementation=attention,
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
                **extra,
            )
    except LOADER_ERRORS as error:
        raise SeedTuneError(
            "transformers cannot load the model",
            file=file,
            value=f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}",
            rule="configuration and weights of one model that this transformers version knows",
            remedy="fetch the checkpoint again, or upgrade transformers",
        ) from error
    if found["mismatched_keys"]:
        shapes = [
            f"{name} {list(stored)} instead of {list(wanted)}"
            for name, stored, wanted in sorted(found["mismatched_keys"])
        ]
        raise mismatched(shapes, file)
    if found["missing_keys"]:
        raise missing(sorted(found["missing_keys"]), file, found["unexpected_keys"])
    refuse_surplus(found["unexpected_keys"], stored_tensors(model), file)
    ready: nn.Module = model.eval().requires_grad_(False)
    return ready


def check_ties(loaded: nn.Module, skeleton: nn.Module, file: Path) -> None:
    """Refuses a file that holds two different tensors where the configuration ties them into one.

    Raises:
        SeedTuneError: naming the tensors that the skeleton has no room for.
    """
    extra = sorted(stored_tensors(loaded).keys() - stored_tensors(skeleton).keys())
    if extra:
        raise SeedTuneError(
            "the configuration ties weights that differ in the file",
            file=file,
            value=extra,
            rule="tie_word_embeddings says whether the head is the embedding",
            remedy='set "tie_word_embeddings": false in config.json',
        )


def refuse_surplus(surplus: Iterable[str], known: Iterable[str], file: Path) -> None:
    """Refuses weights of more layers than the configuration has; warns of others that the model has no place for.

    Files often hold further heads (BERT's pooler), which a language model does without.

    Args:
        surplus: names in the file that the model did not take.
        known: names that it took.
        file: what an error names.

    Raises:
        SeedTuneError: naming weights that differ from known ones in nothing but a number.
    """
    shapes_of_names = {NUMBER.sub("#", name) for name in known}
    layers = sorted(name for name in surplus if NUMBER.sub("#", name) in shapes_of_names)
    if layers:
        raise SeedTuneError(
            "the file holds weights of more layers than the configuration says" + _count(layers),
            file=file,
            value=layers[:SHOWN],
            rule="every layer in the file is one of the configuration's",
            remedy="use the configuration that came with these weights",
        )
    others = sorted(set(surplus))
    if others:
        names = ", ".join(others[:SHOWN])
        warnings.warn(f"{file}: the language model has no place for {names}{_count(others)}", stacklevel=3)


def missing(names: list[str], file: Path, surplus: Iterable[str] = ()) -> SeedTuneError:
    """The error for weights that the model has and its file has not.

    Args:
        names: of the weights, sorted.
        file: what the error names.
        surplus: names in the file that the model did not take: the same weights, perhaps, with something in front.
    """
    surplus = set(surplus)
    prefix = _prefix(names, surplus)
    if prefix:
        return SeedTuneError(
            f"the weights have {prefix} in front of the names that transformers gives them",
            file=file,
            value=sorted(name for name in surplus if name.startswith(prefix))[:SHOWN],
            rule="the names that model.save_pretrained() writes",
            remedy="save the model without what wraps it"
            + (", or run: " + RENAME.format(file=str(file), prefix=prefix) if file.suffix == ".safetensors" else ""),
        )
    return SeedTuneError(
        "the checkpoint lacks weights of the language model" + _count(names),
        file=file,
        value=names[:SHOWN],
        rule="every parameter is in the file, the language-model head included",
        remedy="use a checkpoint saved with its language-model head (…ForCausalLM or …ForMaskedLM)",
    )


def _prefix(names: list[str], surplus: set[str]) -> str:
    """What stands in front of most of ``names`` among ``surplus``, as tied ones may be in no file; or nothing."""
    pairs = ((found, name) for name in names for found in sorted(surplus) if found.endswith("." + name))
    found, name = next(pairs, ("", ""))
    prefix = found.removesuffix(name)
    covered = sum(prefix + name in surplus for name in names)
    return prefix if 2 * covered > len(names) else ""


def mismatched(shapes: list[str], file: Path) -> SeedTuneError:
    """The error for weights whose shape is not the configuration's; ``shapes`` say both."""
    return SeedTuneError(
        "weights have other shapes than the configuration says" + _count(shapes),
        file=file,
        value=shapes[:SHOWN],
        rule="shapes follow from config.json",
        remedy="use the configuration that came with these weights",
    )


def _count(items: list[str]) -> str:
    return f" ({len(items)}, the first {SHOWN} are shown)" if len(items) > SHOWN else ""
