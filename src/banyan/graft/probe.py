"""What the axes of a part's weights stand for, found by building it once more a little larger. Knows no part by name.

A part built for one token more has the same weights but for the axes that run over tokens: those are longer. So a part that is written tomorrow,
or lent from outside, can be carried too.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

Shapes = Mapping[str, tuple[int, ...]]
Labels = tuple[Hashable, ...]


@dataclass(frozen=True)
class Probe:
    """One size made larger by one: the things that it counts, and how long each is along an axis that runs over them (None: as long as the axis grew).

    An axis that grew by several times `unit` runs over all things so many times, as over numbers and then over which of them are missing.
    """

    things: Labels
    grown: Callable[[], nn.Module]
    unit: int | None = None


@dataclass
class Axes:
    """Of each weight, what each axis stands for (None: nothing but its length), and the modules of a list that belong to one thing each."""

    labels: dict[str, tuple[Labels | None, ...]] = field(default_factory=dict)
    names: dict[str, Hashable] = field(default_factory=dict)  # weight -> a name by which that of another network is found


def shapes(build: Callable[[], nn.Module]) -> Shapes:
    """Name -> shape of everything that a part keeps; torch's generators stay as they are."""
    with torch.random.fork_rng(devices=[]):
        return {key: tuple(each.shape) for key, each in build().state_dict().items()}


def axes(build: Callable[[], nn.Module], probes: Sequence[Probe]) -> Axes:
    """The axes of a part's weights; `probes` in the order in which their things lie along an axis that runs over several."""
    base, found = shapes(build), Axes()
    larger = [(probe, shapes(probe.grown)) for probe in probes if probe.things]
    lists = {prefix: things for probe, grown in larger for prefix, things in _lists(base, grown, probe).items()}
    for key, shape in base.items():
        found.labels[key] = tuple(_axis(key, place, length, larger) for place, length in enumerate(shape))
        found.names[key] = _named(key, lists)
    return found


def _axis(key: str, place: int, length: int, larger: Sequence[tuple[Probe, Shapes]]) -> Labels | None:
    causes = [(probe, grown[key][place] - length) for probe, grown in larger if key in grown and grown[key][place] != length]
    if not causes:
        return None
    things = tuple(thing for probe, _ in causes for thing in probe.things)
    growth = causes[0][1]
    unit = growth if growth == 1 else causes[0][0].unit or growth
    alike = all((probe.unit, more) == (causes[0][0].unit, growth) for probe, more in causes)
    if len(causes) == 1 and length == (len(things) - 1) * growth:
        things = things[1:]  # the first of the scenarios is the unknown one, and may have no place
    if not alike or growth < 1 or growth % unit or length != len(things) * growth:
        return tuple(("whole", things, place) for place in range(length))  # read in a way of its own: it moves where all of it is the same
    return tuple((block, thing, place) for block in range(growth // unit) for thing in things for place in range(unit))


def _lists(base: Shapes, grown: Shapes, probe: Probe) -> dict[str, Labels]:
    """Prefix of a list of modules with one for each thing -> the things."""
    found = {}
    for key in grown.keys() - base.keys():
        words = key.split(".")
        for place, word in enumerate(words):
            prefix = ".".join(words[:place])
            if word.isdigit() and int(word) in (len(probe.things), len(probe.things) - 1) and _holds(base, prefix, int(word)):
                found[prefix] = probe.things[len(probe.things) - int(word) :]
    return found


def _holds(base: Shapes, prefix: str, count: int) -> bool:
    """Whether a list has exactly the modules 0 to count - 1."""
    held = {key[len(prefix) + 1 :].split(".")[0] for key in base if key.startswith(prefix + ".")}
    return held == {str(i) for i in range(count)}


def _named(key: str, lists: Mapping[str, Labels]) -> Hashable:
    """The key, with the thing in place of its number in a list."""
    words: list[Hashable] = list(key.split("."))
    for prefix, things in lists.items():
        if key.startswith(prefix + "."):
            place = len(prefix.split("."))
            words[place] = things[int(str(words[place]))]
    return tuple(words)
