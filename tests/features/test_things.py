"""What a thing says in a feature, and which things have enough of them: alike where two say the same, nothing where nothing is said."""

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
import torch

from banyan.features import columns
from banyan.features.texts import Texts
from banyan.features.things import CHUNK, Catalogue, chosen
from banyan.features.vocabulary import Vocabulary
from banyan.store.schema import Feature
from banyan.types import Array

FRAME = pl.DataFrame(
    {
        "shade": ["red", None, "red", "rare", "blue", "blue"],
        "tags": [["a", "b"], ["b", "a"], [], ["a"], None, ["a", "b", "b"]],
        "title": ["silk scarf", "silk scarf", None, "steel pan", "", "Silk  scarf"],
        "look": [[1.0, 2.0], [1.0, 2.0], [0.0, 0.0], None, [2.0, 1.0], [1.0, 2.0]],
    },
    schema_overrides={"look": pl.List(pl.Float32)},
)
FEATURES = ("shade", "tags", "title", "look")


@pytest.fixture(scope="module")
def made() -> Callable[[Array], Catalogue]:
    books: dict[str, Vocabulary] = {}
    kinds = {"shade": Feature(kind="category", least=2), "tags": Feature(kind="tags"), "title": Feature(kind="text"), "look": Feature(kind="vector")}
    layout = columns.fit("item", FRAME, kinds, books, Texts())
    values = columns.apply(layout, FRAME, books, Texts(), blank=True)
    return lambda seen: Catalogue({"item": seen}, {"item": values}, {"item": layout}, books)


ROWS = np.arange(1, 7)


def test_what_is_missing_or_unknown_says_nothing(made: Callable[[Array], Catalogue]) -> None:
    shop = made(ROWS)
    there = {feature: shop.has("item", feature, ROWS).tolist() for feature in FEATURES}
    assert there["shade"] == [True, False, True, False, True, True]  # `rare` is in no vocabulary
    assert there["tags"] == [True, True, False, True, False, True]
    assert there["title"] == [True, True, False, True, False, True]
    assert there["look"] == [True, True, False, False, True, True]
    assert np.array_equal(shop.told("item", FEATURES, ROWS) > 0, np.stack(list(there.values()), 1))


def test_two_things_are_alike_where_they_say_the_same(made: Callable[[Array], Catalogue]) -> None:
    shade, tags, title, look = made(ROWS).told("item", FEATURES, ROWS).T
    assert shade[0] == shade[2] != shade[4] == shade[5]
    assert tags[0] == tags[1]  # in whichever order
    assert len({tags[0], tags[3], tags[5]}) == 3
    assert title[0] == title[1] != title[3]
    assert look[0] == look[1] == look[5] != look[4]


def test_things_with_fewer_than_two_of_the_features_and_those_that_training_may_not_see_are_left_out(made: Callable[[Array], Catalogue]) -> None:
    shop = made(np.array([1, 2, 3, 4]))
    assert shop.pairs("item", ("title", "look")).tolist() == [1, 2]
    assert shop.pairs("item", FEATURES).tolist() == [1, 2, 4]
    assert made(np.zeros(0, np.int64)).pairs("item", FEATURES).tolist() == []


def test_many_things_are_looked_at_piece_by_piece(made: Callable[[Array], Catalogue]) -> None:
    rows = np.resize(ROWS, 2 * CHUNK + 3)
    found = made(rows).has("item", "look", rows)
    assert np.array_equal(found, np.resize([True, True, False, False, True, True], len(rows)))


class First:
    entity = "item"
    features = ("title", "look")

    def choose(self, things: Array, rng: np.random.Generator) -> Array:
        return things[rng.permutation(len(things))[:1]]


def test_a_step_asks_for_what_was_chosen_and_draws_for_nobody_else(made: Callable[[Array], Catalogue]) -> None:
    asked: list[tuple[str, Array]] = []

    def ask(entity: str, rows: Array) -> slice:
        asked.append((entity, rows))
        return slice(1, 1 + len(rows))

    rng = np.random.default_rng(4)
    found = chosen({"one": First(), "two": First()}, made(ROWS), ask, rng)
    assert rng.random() == np.random.default_rng(4).random()
    assert [entity for entity, _ in asked] == ["item", "item"]
    things = found["one"].things({"item": torch.tensor([0, 5])})
    assert (things.entity, things.places.tolist(), tuple(things.told.shape)) == ("item", [5], (1, 2))


def test_what_cannot_be_compared_is_told(made: Callable[[Array], Catalogue]) -> None:
    assert made(ROWS).lacking(First()) is None
    said = made(np.array([1, 3])).lacking(First())
    assert said is not None
    assert "1 of the 2 item rows that training may see have two of title, look" in said
