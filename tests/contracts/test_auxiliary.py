"""What every auxiliary task on events promises, over the folder's listing: training events only, the same draw from the same numbers, a loss that falls."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from banyan import parts
from banyan.auxiliary import OfEvents, Seen
from banyan.features.stretches import Draft, Drawn, Shelf, Stretches
from banyan.store.shop import EventLog
from banyan.types import Array, Stretch

NAMES = [name for name in parts.names("auxiliary") if parts.find("auxiliary", name).about == "events"]
every_part = pytest.mark.parametrize("name", NAMES)
USERS, ITEMS, EVENTS, WIDTH, LENGTH = 30, 21, 600, 8, 10
DAY = 86_400_000_000


def log(seed: int = 0) -> EventLog:
    """A shop where an item of one half is mostly followed by one of the same half; user 0 is the missing one, users 1 and 2 have an event or none."""
    rng = np.random.default_rng(seed)
    user = np.sort(np.concatenate([[1], rng.integers(3, USERS, EVENTS - 1)]))
    half = (user % 2) ^ (rng.random(EVENTS) < 0.05)
    item = 1 + 10 * half + rng.integers(0, 10, EVENTS)
    time = np.sort(rng.integers(0, 40, EVENTS)) * DAY
    order = np.lexsort((time, user))
    start = np.searchsorted(user, np.arange(USERS + 1))
    zeros = np.zeros(EVENTS, np.int16)
    return EventLog(start, item.astype(np.int32), zeros.astype(np.int8), time[order], zeros, np.ones(EVENTS, np.float32), ("view",), ("",), "time")


def events(until: int = 30 * DAY) -> Stretches:
    whole = log()
    return Stretches.of(whole, whole.time < until)


def made(name: str) -> OfEvents:
    torch.manual_seed(0)
    part: OfEvents = parts.build("auxiliary", name, WIDTH, 2 * WIDTH)
    return part


def asked(drawn: Drawn, table: Stretches, seed: int = 0) -> tuple[Stretch, list[Array]]:
    """The stretches as tensors whose `items` are item row numbers themselves, and the item rows that were asked for."""
    wanted: list[Array] = []

    def ask(items: Array) -> slice:
        first = sum(each.size for each in wanted)
        wanted.append(items.reshape(-1))
        return slice(first, first + items.size)

    draft = Draft(table, drawn, Shelf(table, ITEMS), ask, np.random.default_rng(seed))
    return draft.stretch(torch.from_numpy(np.concatenate(wanted).astype(np.int64)), 0, lambda ids: 0), wanted


def loss(part: OfEvents, stretch: Stretch, table: Tensor) -> Tensor:
    """With a mean over the shown events as the history."""

    def read(tokens: Tensor, seen: Seen) -> Tensor:
        return (tokens * seen.mask[..., None]).sum(1) / seen.mask.sum(1, keepdim=True).clamp(min=1)

    views = [
        Seen(table[past.items, :WIDTH], torch.zeros(*past.items.shape, WIDTH), past.gaps, past.mask, hidden)
        for past, hidden in zip(stretch.pasts, stretch.hidden, strict=True)
    ]
    found: Tensor = part(views, read, stretch, None if stretch.choice is None else table[stretch.choice.items])
    return found


def places(drawn: Drawn) -> Array:
    """Every place in the log that a draw reads or asks for."""
    found = [view.what[view.mask] for view in drawn.views] + [view.when[view.mask] for view in drawn.views]
    return np.concatenate([*found, *([] if drawn.targets is None else [drawn.targets[drawn.targets >= 0]])])


@every_part
def test_nothing_after_the_cut_is_read(name: str) -> None:
    table = events()
    for seed in range(5):
        at = places(made(name).draw(table, LENGTH, np.random.default_rng(seed)))
        assert len(at)
        assert (table.time(at) < 30 * DAY).all()


@every_part
def test_later_events_change_no_draw(name: str) -> None:
    table = events()
    shorter = log()
    keep = shorter.time < 30 * DAY
    start = np.concatenate([[0], np.cumsum(keep)])[shorter.start]
    columns = {key: getattr(shorter, key)[keep] for key in ("item", "behaviour", "time", "scenario", "value")}
    less = Stretches.of(dataclasses.replace(shorter, start=start, **columns), np.ones(int(keep.sum()), bool))
    one, other = (made(name).draw(each, LENGTH, np.random.default_rng(3)) for each in (table, less))
    assert np.array_equal(places(one), places(other))
    assert np.array_equal(table.item(places(one)), less.item(places(other)))


@every_part
def test_the_same_numbers_draw_the_same(name: str) -> None:
    one, again, other = (made(name).draw(events(), LENGTH, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(places(one), places(again))
    assert not np.array_equal(places(one), places(other))


@every_part
def test_views_stand_as_histories_do_and_hold_one_user_each(name: str) -> None:
    table = events()
    owner = np.repeat(np.arange(USERS), np.diff(table.start))
    drawn = made(name).draw(table, LENGTH, np.random.default_rng(0))
    firsts = []
    for view in drawn.views:
        assert view.what.shape == view.when.shape == view.mask.shape == view.hidden.shape
        assert view.mask.shape[1] <= LENGTH
        assert view.mask[:, -1].all()  # newest last, no row without an event
        assert (np.diff(view.mask.astype(int), axis=1) >= 0).all()  # padded in front
        users = owner[view.what]
        assert (users == users[:, -1:])[view.mask].all()
        assert len(np.unique(users[:, -1])) == len(users)  # at most one stretch a user
        assert (np.diff(np.where(view.mask, table.time(view.when), -1), axis=1)[view.mask[:, :-1]] >= 0).all()
        firsts.append(users[:, -1])
    assert all(np.array_equal(firsts[0], each) for each in firsts)


@every_part
def test_what_is_to_be_named_is_not_shown(name: str) -> None:
    table = events()
    drawn = made(name).draw(table, LENGTH, np.random.default_rng(0))
    if drawn.targets is None:
        return
    (view,) = drawn.views
    shown = np.where(view.mask & ~view.hidden, view.what, -1)
    for row, targets in enumerate(drawn.targets):
        assert not set(targets[targets >= 0]) & set(shown[row])
    stretch, wanted = asked(drawn, table)
    assert (wanted[0].reshape(view.mask.shape)[view.hidden] == 0).all()  # in the step it is the missing item
    assert stretch.choice is not None
    assert stretch.places is not None
    right = stretch.choice.items[stretch.places.clamp(min=0)].numpy()
    known = drawn.targets >= 0
    assert np.array_equal(right[known], table.item(drawn.targets[known]))


@every_part
def test_a_loss_is_finite_not_negative_and_falls_on_a_shop_with_structure(name: str) -> None:
    table, part = events(), made(name)
    items = torch.nn.Parameter(torch.randn(ITEMS, 2 * WIDTH, generator=torch.Generator().manual_seed(0)) * 0.3)
    optimiser = torch.optim.Adam([items, *part.parameters()], lr=0.02)
    values: list[float] = []
    for seed in range(60):
        stretch, _ = asked(part.draw(table, LENGTH, np.random.default_rng(seed)), table, seed)
        value = loss(part, stretch, items)
        optimiser.zero_grad()
        value.backward()
        assert items.grad is not None
        assert items.grad.any()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in part.parameters())
        optimiser.step()
        values.append(value.item())
    assert min(values) >= 0
    assert np.isfinite(values).all()
    assert mean(values[-10:]) < mean(values[:5]) - 0.1


def mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


@every_part
def test_users_with_too_few_events_are_left_out(name: str) -> None:
    whole = log()
    table = Stretches.of(whole, np.arange(EVENTS) < 1)  # one event of one user
    assert not len(made(name).draw(table, LENGTH, np.random.default_rng(0)).views[0].mask)


def test_the_next_event_is_named_from_strictly_earlier_ones() -> None:
    table = events()
    drawn = made("next_event").draw(table, LENGTH, np.random.default_rng(0))
    assert drawn.targets is not None
    view = drawn.views[0]
    assert (np.where(view.mask, table.time(view.what), -1).max(1) < table.time(drawn.targets[:, 0])).all()


def test_a_share_of_the_events_is_hidden_and_never_all() -> None:
    part = parts.build("auxiliary", {"part": "masked_events", "hide": 0.5, "most": 3}, WIDTH, WIDTH)
    view = part.draw(events(), LENGTH, np.random.default_rng(0)).views[0]
    hidden, there = (view.hidden & view.mask).sum(1), view.mask.sum(1)
    assert (hidden >= 1).all()
    assert (hidden < there).all()
    assert hidden.max() == 3
    assert np.array_equal(hidden, np.minimum(np.clip(np.round(0.5 * there), 1, there - 1), 3))


@pytest.mark.parametrize("operation", ["crop", "mask", "reorder"])
def test_views_change_what_they_say_they_change(operation: str) -> None:
    part = parts.build("auxiliary", {"part": "contrastive", "operations": [operation]}, WIDTH, WIDTH)
    at, user = events().drawn(np.random.default_rng(0), 50)
    whole, mask = events().up_to(at + 1, user, LENGTH)
    view = part._view(whole[mask.sum(1) > 1], mask[mask.sum(1) > 1], np.random.default_rng(0))
    before, there = whole[mask.sum(1) > 1], mask[mask.sum(1) > 1]
    count = there.sum(1)
    if operation == "crop":
        assert np.array_equal(view.mask.sum(1), np.maximum(np.floor(0.6 * count), 1))
        runs = [row[kept] for row, kept in zip(view.what, view.mask, strict=True)]
        assert all((np.diff(run) == 1).all() for run in runs)
    if operation == "mask":
        assert np.array_equal(view.hidden.sum(1), np.clip(np.round(0.3 * count), 1, count - 1))
        assert np.array_equal(view.what, before)
    if operation == "reorder":
        assert np.array_equal(np.sort(view.what, 1), np.sort(before, 1))
        assert np.array_equal(view.when, before)
        moved = (view.what != before).sum(1)
        assert (moved <= np.clip(np.ceil(0.6 * count), 2, count)).all()
        assert moved.any()


def test_equal_views_of_one_user_cost_least() -> None:
    part, table = made("contrastive"), torch.eye(ITEMS, 2 * WIDTH)
    drawn = part.draw(events(), LENGTH, np.random.default_rng(0))
    alike = dataclasses.replace(drawn, views=[drawn.views[0], drawn.views[0]])
    swapped = dataclasses.replace(drawn.views[0], **{key: np.roll(getattr(drawn.views[0], key), 1, 0) for key in ("what", "when", "mask", "hidden")})
    apart = dataclasses.replace(drawn, views=[drawn.views[0], swapped])
    assert loss(part, asked(alike, events())[0], table) < loss(part, asked(apart, events())[0], table)
