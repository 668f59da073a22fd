"""Templates: fixed text with named fields in braces. Knows nothing of tokens, labels or files.

``{text}`` stands for the field ``text``, ``{mask}`` for the mask token of a masked language model, and ``{{`` and
``}}`` for braces.
"""

from __future__ import annotations

import string

from seedtune.runtime.errors import SeedTuneError

MASK_FIELD = "mask"
RULE = "{field} with a plain name; {{ and }} stand for braces"


def template_parts(template: str) -> list[tuple[str, str | None]]:
    """``template`` as pairs of (fixed text, the field that follows it or None), in order.

    Raises:
        SeedTuneError: unbalanced braces, an unnamed field, or a format specification.
    """
    try:
        pieces = list(string.Formatter().parse(template))
    except ValueError as error:
        raise SeedTuneError(
            f"the template cannot be read ({error})",
            value=template,
            rule=RULE,
            remedy="write {{ or }} where a brace itself is meant",
        ) from error
    for _, name, specification, conversion in pieces:
        if name is not None and (not name.isidentifier() or specification or conversion):
            raise SeedTuneError(
                "the template has a field that is not a plain name",
                value=name,
                rule=RULE,
                remedy="name the data's field alone between the braces",
            )
    return [(text, name) for text, name, _, _ in pieces]


def template_fields(template: str) -> tuple[str, ...]:
    """The data fields of ``template`` in order of appearance, each once, without the mask.

    Raises:
        SeedTuneError: see :func:`template_parts`.
    """
    return tuple(dict.fromkeys(name for _, name in template_parts(template) if name and name != MASK_FIELD))


def count_masks(template: str) -> int:
    """How often ``{mask}`` stands in ``template``."""
    return sum(name == MASK_FIELD for _, name in template_parts(template))


def has_fixed_end(template: str) -> bool:
    """Whether ``template`` goes on after its last field: what a state of scope "suffix" acts at. A mask counts."""
    parts = template_parts(template)
    last = max((place for place, (_, name) in enumerate(parts) if name and name != MASK_FIELD), default=-1)
    behind = parts[last + 1 :]
    return any(text for text, _ in behind) or count_masks(template) > 0
