"""Which linear layers carry trainable state: roles, presets and patterns, and the layout of the state they make.

A role is what a layer does, whatever its family calls it. ``--targets`` takes roles, presets and shell patterns over
module names, separated by commas: ``up,query``, ``attention``, ``*.layers.1?.mlp.down_proj``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase

from seedtune.exporter.passes.linear_layout import Linear
from seedtune.runtime.bundle.manifest import Head, StateLayout, Target
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.noise import BITS_PER_WORD

# What the A of a linear is called, behind the name of the linear; PEFT calls it so.
LORA_A = ".lora_A.weight"
# The first role with a matching pattern is a layer's role: BERT's "attention.output.dense" must not count as "down".
ROLES: dict[str, tuple[str, ...]] = {
    "query": ("*.q_proj", "*.query", "*.q_lin", "*.query_proj"),
    "key": ("*.k_proj", "*.key", "*.k_lin", "*.key_proj"),
    "value": ("*.v_proj", "*.value", "*.v_lin", "*.value_proj"),
    "query_key_value": ("*.c_attn", "*.query_key_value", "*.qkv_proj", "*.Wqkv", "*.in_proj"),
    "output": ("*.o_proj", "*.out_proj", "*.attention.output.dense", "*.out_lin", "*.attn.c_proj", "*.attn.Wo",
               "*.self_attention.dense", "*.attention.dense", "*.self_attn.dense"),
    "gate": ("*.gate_proj",),
    "up": ("*.up_proj", "*.fc1", "*.intermediate.dense", "*.lin1", "*.c_fc", "*.dense_h_to_4h", "*.gate_up_proj",
           "*.mlp.Wi"),
    "down": ("*.down_proj", "*.fc2", "*.output.dense", "*.lin2", "*.mlp.c_proj", "*.dense_4h_to_h", "*.mlp.Wo"),
}  # fmt: skip
PRESETS: dict[str, tuple[str, ...]] = {
    # Chosen by measurement: docs/log/2026-11-23.md, "Target sets".
    "default": ("query", "query_key_value", "up"),
    "attention": ("query", "key", "value", "query_key_value", "output"),
    "mlp": ("gate", "up", "down"),
    "all": ("*",),
}


def role_of(name: str) -> str | None:
    """The role of the module ``name``, or None for a layer that no role covers."""
    for role, patterns in ROLES.items():
        if any(fnmatchcase(name, pattern) for pattern in patterns):
            return role
    return None


def select(linears: Sequence[Linear], spec: str, unfit: Collection[str] = ()) -> list[Linear]:
    """The linears that ``spec`` names, in graph order.

    Args:
        linears: of the model.
        spec: see the module docstring.
        unfit: names of those that cannot carry a state, because they do not read token rows. Roles, presets and
            patterns pass over them.

    Raises:
        SeedTuneError: an item of ``spec`` matches no layer, which lists what there is, or unfit ones only.
    """
    others = [linear for linear in linears if linear.name in unfit]
    linears = [linear for linear in linears if linear.name not in unfit]
    chosen: set[str] = set()
    for item in (part.strip() for part in spec.split(",") if part.strip()):
        matched = {linear.name for linear in linears if _matches(linear.name, item)}
        if not matched and item == "default":
            matched = {linear.name for linear in linears}
        if not matched:
            refused = dict.fromkeys(linear.name for linear in others if _matches(linear.name, item))
            raise _unfit(item, list(refused)) if refused else _no_match(item, linears)
        chosen |= matched
    if not chosen:
        raise _no_match(spec, linears)
    return [linear for linear in linears if linear.name in chosen]


def _matches(name: str, item: str) -> bool:
    if item in PRESETS:
        return any(_matches(name, part) for part in PRESETS[item])
    if item in ROLES:
        return role_of(name) == item
    return fnmatchcase(name, item)


def _unfit(item: str, names: Sequence[str]) -> SeedTuneError:
    shown = ", ".join(names[:8])
    return SeedTuneError(
        "a target reads other rows than those of tokens",
        value=item,
        rule=f"layers that read token rows only; {shown}{', …' if len(names) > 8 else ''} also or only read a table "
        "of positions, which all tokens share",
        remedy="leave it out of --targets",
    )


def _no_match(item: str, linears: Sequence[Linear]) -> SeedTuneError:
    roles = sorted({role for linear in linears if (role := role_of(linear.name))})
    shown = ", ".join(linear.name for linear in linears[:8])
    return SeedTuneError(
        "a target matches no linear layer of this model",
        value=item,
        rule=f"a preset ({', '.join(PRESETS)}), a role of this model ({', '.join(roles) or 'none known'}), or a shell "
        f"pattern over its {len(linears)} layers: {shown}{', …' if len(linears) > 8 else ''}",
        remedy="name one of these with --targets",
    )


def lay_out(linears: Sequence[Linear], rank: int, adapter_seed: int, labels: int = 0, features: int = 0) -> StateLayout:
    """The flat state for ``linears``: one B [o, rank] each, aligned to whole noise words; A shared by equal inputs.

    A layer that the model applies several times (ALBERT) has one B, which acts wherever the layer does. Behind them
    lies the head of a classification task.

    Args:
        linears: those that carry state.
        rank: r.
        adapter_seed: the seed of every A.
        labels: L of a classification task; 0 for none, and no head.
        features: H, the width of what the language-model head reads.
    """
    lora_a: dict[object, str] = {}
    targets, offset = [], 0
    seen: set[str] = set()
    for linear in linears:
        if linear.name in seen:
            continue
        seen.add(linear.name)
        name = lora_a.setdefault(linear.rows, linear.name + LORA_A)
        targets.append(Target(linear.name, name, offset, linear.out_features, linear.in_features, rank))
        offset += _whole_words(linear.out_features * rank)
    head = Head(offset, labels, features) if labels else None
    return StateLayout(offset + _whole_words(head.parameters if head else 0), rank, adapter_seed, tuple(targets), head)


def _whole_words(count: int) -> int:
    return -(-count // BITS_PER_WORD) * BITS_PER_WORD
