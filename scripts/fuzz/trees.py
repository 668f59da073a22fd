"""Mutations of JSON and TOML that know their structure: of a tree of names and values, wherever in it."""

from __future__ import annotations

import copy
import random
from collections.abc import Sequence
from typing import Any

from fuzz.values import NUMBERS, TEXTS, Pairs, Text, pairs_of

# More than one change at once finds what one hides, but most inputs should come past the first check.
CHANGES = (1, 1, 1, 1, 2, 2, 3)


def mutated_tree(generator: random.Random, value: Any, raw: Sequence[Text]) -> Any:
    """``value`` (dicts, lists, scalars) with a few changes, dicts as :class:`Pairs`."""
    holder = [pairs_of(copy.deepcopy(value))]
    for _ in range(generator.choice(CHANGES)):
        _change(generator, holder, raw)
    return holder[0]


def _change(generator: random.Random, holder: list[Any], raw: Sequence[Text]) -> None:
    places = list(_places(holder))
    parent, index = generator.choice(places)
    value = _get(parent, index)
    kind = generator.random()
    if kind < 0.35:
        _set(parent, index, _near(generator, value, raw))
    elif kind < 0.5:
        _set(parent, index, _any(generator, raw))
    elif kind < 0.62 and len(parent) > 0 and parent is not holder:
        del parent[index]
    elif kind < 0.72:
        _repeat(generator, parent, index, holder)
    elif kind < 0.8:
        other_parent, other = generator.choice(places)
        _set(parent, index, copy.deepcopy(_get(other_parent, other)))
    elif kind < 0.88 and isinstance(parent, Pairs):
        name = generator.choice([*TEXTS[:20], "kind", parent[index][0] + "x", parent[index][0].upper(), "__class__"])
        parent[index] = (name, value)
    elif isinstance(value, Pairs):
        value.insert(generator.randint(0, len(value)), (generator.choice(TEXTS[:20]) or "x", _any(generator, raw)))
    elif isinstance(value, list) and value and value is not holder:
        generator.shuffle(value)
    else:
        _set(parent, index, [value] if generator.random() < 0.5 else Pairs([("value", value)]))


def _repeat(generator: random.Random, parent: Any, index: int, holder: list[Any]) -> None:
    if parent is holder:
        return
    again = copy.deepcopy(parent[index])
    times = generator.choice((1, 1, 1, 2, 50))
    for _ in range(times):
        parent.insert(generator.randint(0, len(parent)), again)


def _near(generator: random.Random, value: Any, raw: Sequence[Text]) -> Any:
    if isinstance(value, bool):
        return generator.choice((not value, int(value), str(value)))
    if isinstance(value, int):
        return generator.choice((value + 1, value - 1, -value, value * 2, float(value), str(value), *NUMBERS))
    if isinstance(value, float):
        return generator.choice((-value, value * 2, value * 1e300, round(value), str(value), *raw[:6], *NUMBERS))
    if isinstance(value, str) and not isinstance(value, Text):
        place = generator.randint(0, len(value))
        inserted = value[:place] + generator.choice(TEXTS[:24]) + value[place:]
        return generator.choice((inserted, value[:place], value[place:], value.upper(), value + " ", value * 2))
    if isinstance(value, list) and not isinstance(value, Pairs):
        return generator.choice((value[1:], value[:-1], value[::-1], value + value, []))
    return _any(generator, raw)


def _any(generator: random.Random, raw: Sequence[Text]) -> Any:
    kind = generator.random()
    if kind < 0.3:
        return generator.choice(NUMBERS)
    if kind < 0.5:
        return generator.choice(TEXTS)
    if kind < 0.75:
        return generator.choice(raw)
    return copy.deepcopy(generator.choice((None, True, False, [], Pairs(), [0], [[]], Pairs([("a", 1)]), ["a", "b"])))


def _places(node: Any) -> Any:
    """Every (parent, index) in the tree."""
    for index in range(len(node)):
        yield node, index
        child = _get(node, index)
        if isinstance(child, list):
            yield from _places(child)


def _get(parent: Any, index: int) -> Any:
    return parent[index][1] if isinstance(parent, Pairs) else parent[index]


def _set(parent: Any, index: int, value: Any) -> None:
    parent[index] = (parent[index][0], value) if isinstance(parent, Pairs) else value
