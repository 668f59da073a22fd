"""What other tools leave in a model folder that transformers' loader would ignore, or take for something else.

Each is refused by its name, with a remedy that works, before anything is loaded. Names are enough: they stand in the
files' headers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from seedtune.runtime.errors import SeedTuneError

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors", "adapter_model.bin")
# Modules that PEFT puts around a layer, and the parameters of its adapters.
ADAPTER_PART = re.compile(
    r"(?:^|\.)(base_layer|original_module|modules_to_save|lora_[AB]|lora_embedding_[AB]|lora_magnitude_vector"
    r"|hada_w\d_[ab]|lokr_w\d(?:_[ab])?|ia3_l|oft_[rR]|vera_lambda_[bd])(?:\.|$)"
)
# torch.compile, DistributedDataParallel, FullyShardedDataParallel and PEFT put theirs in front of every name.
WRAPPERS = ("_orig_mod.", "module.", "_fsdp_wrapped_module.", "base_model.model.")
# These stand around single layers too.
INNER_WRAPPERS = ("_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")
SHARD = re.compile(r"(model|pytorch_model)-(\d+)-of-(\d+)\.(safetensors|bin)")
MAKE_INDEX = (
    "import glob, json; from safetensors import safe_open; "
    "names = {name: file for file in sorted(glob.glob('model-*-of-*.safetensors')) "
    "for name in safe_open(file, 'pt').keys()}; "
    "json.dump({'metadata': {}, 'weight_map': names}, open('model.safetensors.index.json', 'w'))"
)


def refuse_adapter_files(names: Iterable[str], whole: bool, file: str | Path) -> None:
    """Refuses a folder that holds a PEFT adapter: transformers merges it when peft is installed, and ignores it else.

    Args:
        names: of the folder's files.
        whole: whether there is a whole model beside it.
        file: what an error names.

    Raises:
        SeedTuneError: naming the adapter's files.
    """
    found = sorted(set(ADAPTER_FILES) & set(names))
    if not found:
        return
    merge = "merge the PEFT adapter into its base model first: AutoPeftModelForCausalLM.from_pretrained(…)"
    raise SeedTuneError(
        "a PEFT adapter lies beside a whole model" if whole else "this is a PEFT adapter without its model",
        file=file,
        value=found,
        rule="a model folder holds one model; an adapter's weights would be left out without a word",
        remedy=f"{merge}.merge_and_unload().save_pretrained(…)"
        + (f"; if the model is to be tuned without it, remove {', '.join(found)}" if whole else ""),
    )


def refuse_adapter_tensors(names: Iterable[str], file: Path) -> None:
    """Refuses weight files with the parts of an adapter in them, beside the layers they belong to or around them.

    Raises:
        SeedTuneError: naming them.
    """
    found = sorted(name for name in names if ADAPTER_PART.search(name))
    if found:
        wrapped = any(".base_layer." in name or ".original_module." in name for name in found)
        raise SeedTuneError(
            f"the weights hold an adapter that is not merged ({len(found):,} tensors)",
            file=file,
            value=found[:4],
            rule="the weights of one model, under the names that transformers gives them",
            remedy="merge it before saving: model.merge_and_unload().save_pretrained(…)"
            + ("" if wrapped else "; if the model is to be tuned without it, save it without these tensors"),
        )


def wrappers_of(names: Iterable[str]) -> dict[str, str]:
    """What wrappers of a training script put into ``names``: in front of all, or around some layers.

    Returns:
        Patterns of names to what they become, as transformers' loader takes them (``key_mapping``); empty where no
        name is wrapped.
    """
    rest, prefix = list(names), ""
    while rest and (found := next((part for part in WRAPPERS if all(name.startswith(part) for name in rest)), "")):
        prefix += found
        rest = [name.removeprefix(found) for name in rest]
    mapping = {f"^{re.escape(prefix)}": ""} if prefix else {}
    inside = [part for part in INNER_WRAPPERS if any(f".{part}" in name for name in rest)]
    return mapping | {rf"\.{re.escape(part)}": "." for part in inside}


def refuse_mlx(stored: dict[str, object], file: Path) -> None:
    """Refuses a configuration of mlx's quantised weights, whose matrices are packed into 32-bit words.

    Raises:
        SeedTuneError: naming the entry.
    """
    if stored.get("quantization"):
        raise SeedTuneError(
            "the weights are quantised by mlx, in a way that SeedTune does not read",
            file=file,
            value={"quantization": stored["quantization"]},
            rule="float32, float16 or bfloat16 weights, or a GGUF file",
            remedy="fetch the unquantised model, or write one: mlx_lm.convert --dequantize",
        )


def refuse_shards_without_index(folder: Path) -> None:
    """Refuses shards whose index is missing: it says which tensors there ought to be.

    Raises:
        SeedTuneError: naming the index, and how to write it where every shard is there.
    """
    shards = [found for path in sorted(folder.iterdir()) if (found := SHARD.fullmatch(path.name))]
    if not shards:
        return
    stem, _, count, ending = shards[0].groups()
    index = f"{stem}.{ending}.index.json"
    present = {int(shard[2]) for shard in shards if shard.groups()[2:] == (count, ending)}
    remedy = f"fetch {index} from where the shards came from"
    if present == set(range(1, int(count) + 1)):
        if len(present) == 1:
            remedy += f", or rename the only shard to {stem}.{ending}"
        elif ending == "safetensors":
            remedy += f', or write it from the shards, which are all there: cd {folder} && python -c "{MAKE_INDEX}"'
    else:
        absent = sorted(set(range(1, int(count) + 1)) - present)
        remedy += f", and shard {', '.join(map(str, absent[:8]))} of {int(count)}"
    raise SeedTuneError(
        f"the shards' index {index} is missing",
        file=folder / index,
        value=[shard[0] for shard in shards][:8],
        rule="shards lie beside an index that says which tensor is in which of them",
        remedy=remedy,
    )
