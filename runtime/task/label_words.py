"""Label words to token ids, checked where each word will stand.

1. Behind a causal template the word must add exactly one token and leave the tokens before it as they are.
2. For a masked model the word itself must be exactly one token.
3. The token must be known to the vocabulary and belong to one label only; otherwise a label cannot be reached.
"""

from __future__ import annotations

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.task.encoder import Encoder
from seedtune.runtime.task.structure import Family, Task
from seedtune.runtime.task.template import count_masks

# Fills the fields where words are tried behind a causal template; any plain word does.
SAMPLE = "something"


def label_word_ids(task: Task, encoder: Encoder, family: Family, unknown_token: str | None) -> tuple[int, ...]:
    """The token id of each label's word, in the order of the labels.

    Raises:
        SeedTuneError: see the module docstring; shows the tokens that the word splits into.
    """
    context = encoder.render(dict.fromkeys(task.fields, SAMPLE)) if family == "causal" else ""
    unknown_id = encoder.token_id(unknown_token) if unknown_token else None
    taken: dict[int, str] = {}
    for label in task.labels:
        ids = _added_ids(encoder, context, label.word)
        alone = encoder.plain_ids(label.word)
        if ids is None or len(ids) != 1:
            merged = ids is None and len(alone) == 1
            raise SeedTuneError(
                f"the label word {label.word!r} runs into the end of the template"
                if merged
                else f"the label word {label.word!r} is {len(alone if ids is None else ids)} tokens for this model",
                value=encoder.tokens(alone if ids is None else ids),
                rule="a label word is exactly one token" + (" behind the template" if context else ""),
                remedy=_remedy(task, encoder, context, label.word),
            )
        if ids[0] == unknown_id or ids[0] in taken:
            other = f"the same token as {taken[ids[0]]!r}" if ids[0] in taken else "the unknown token"
            raise SeedTuneError(
                f"unreachable label {label.value!r}: its word {label.word!r} is {other}",
                value=encoder.tokens(ids),
                rule="every label word has a token of its own",
                remedy="choose another label word",
            )
        taken[ids[0]] = label.word
    return tuple(taken)


def _added_ids(encoder: Encoder, context: str, word: str) -> list[int] | None:
    """The ids that ``word`` adds behind ``context``, or None where it changes the context's own ids."""
    before = encoder.plain_ids(context) if context else []
    after = encoder.plain_ids(context + word)
    return after[len(before) :] if after[: len(before)] == before else None


def _remedy(task: Task, encoder: Encoder, context: str, word: str) -> str:
    """A way of writing ``word`` that is one token, if leading space or case make the difference."""
    if context and context != context.rstrip():
        return "end the template without a space, and begin the label words with it"
    bare = word.strip()
    taken = {label.word for label in task.labels}
    for spelling in dict.fromkeys((bare, bare.lower(), bare.capitalize())):
        for variant in (f" {spelling}", spelling):
            ids = _added_ids(encoder, context, variant) if variant not in taken else None
            if ids is not None and len(ids) == 1:
                return f"write {variant!r}, which is one token, or choose another label word"
    return "choose another label word"


def require_one_mask(task: Task, encoder: Encoder, mask_token: str | None) -> None:
    """Raises SeedTuneError unless the template of ``task`` has exactly one mask, which the tokenizer knows."""
    if encoder.mask_id is None or mask_token is None:
        raise SeedTuneError(
            "the tokenizer has no mask token",
            value=mask_token,
            rule="a masked language model's tokenizer has one among its special tokens",
            remedy="use the tokenizer that belongs to the model",
        )
    written = task.template.count(mask_token)
    if written + count_masks(task.template) != 1:
        raise SeedTuneError(
            f"the template of task {task.name!r} writes the mask token out besides {{mask}}",
            value=task.template,
            rule="exactly one mask",
            remedy=f"keep {{mask}} and remove {mask_token}",
        )
