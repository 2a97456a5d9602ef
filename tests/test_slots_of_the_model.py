"""The tokens that the network makes itself: products of a row's entities, and the newest event."""

import torch
from torch import Tensor

from banyan.features.plan import Plan, TablePlan
from banyan.trunk.newest import Newest
from banyan.trunk.products import Products
from banyan.types import Batch, Block, Past

WIDTH = 4
LENGTHS = {"user": 2, "item": 3, "query": 1, "context": 2}


def plan() -> Plan:
    tables = {
        "bought": TablePlan(["user", "item"], [], []),
        "judged": TablePlan(["query", "item"], [], []),
        "people": TablePlan(["user"], [], []),
        "next": TablePlan(["user"], [], [], ranking=True),
    }
    return Plan(tables=tables)


def batch(table: str, *entities: str, rows: int = 5) -> Batch:
    context = Block(rows, 0, torch.zeros(rows, 0), torch.zeros(rows, 0, dtype=torch.bool))
    return Batch(table, rows, {name: torch.arange(rows) for name in entities}, torch.zeros(rows, dtype=torch.int64), context, None, None, {}, {})


def slots(rows: int = 5) -> dict[str, Tensor]:
    torch.manual_seed(0)
    return {name: torch.randn(rows, length, WIDTH) for name, length in LENGTHS.items()}


def test_a_product_is_made_for_every_two_entities_that_stand_in_one_row() -> None:
    assert Products(plan(), LENGTHS, WIDTH).pairs == [("item", "query"), ("user", "item")]


def test_the_product_is_the_scaled_product_of_both_projections_and_reads_nothing_else() -> None:
    torch.manual_seed(1)
    meets, given = Products(plan(), LENGTHS, WIDTH), slots()
    met = meets(given, batch("bought", "user", "item"))
    left, right = (meets.project[name](given[name].flatten(1)) for name in ("user", "item"))
    torch.testing.assert_close(met.flatten(1), meets.scale[meets.pairs.index(("user", "item"))] * left * right)
    other = meets({**given, "query": given["query"] + 1}, batch("bought", "user", "item"))
    torch.testing.assert_close(met, other)


def test_a_row_of_one_entity_holds_zeros() -> None:
    meets = Products(plan(), LENGTHS, WIDTH)
    assert not meets(slots(), batch("people", "user")).any()


def test_the_newest_token_reads_the_newest_event_and_no_other() -> None:
    torch.manual_seed(2)
    newest, items = Newest(3 * WIDTH, WIDTH), torch.randn(6, 3, WIDTH)
    events, mask = torch.tensor([[1, 2, 3], [0, 0, 0], [0, 4, 5]]), torch.tensor([[True] * 3, [False] * 3, [False, True, True]])
    past = Past(events, 0, torch.tensor([[3.0, 2.0, 0.1], [0.0, 0.0, 0.0], [0.0, 1.0, 0.2]]), mask)
    found = newest(past, items, 3)
    earlier = Past(torch.tensor([[5, 5, 3], [0, 0, 0], [0, 1, 5]]), 0, past.gaps, mask)
    torch.testing.assert_close(found, newest(earlier, items, 3))
    later = Past(torch.tensor([[1, 2, 4], [0, 0, 0], [0, 4, 5]]), 0, past.gaps, mask)
    assert not torch.allclose(found[0], newest(later, items, 3)[0])
    torch.testing.assert_close(found[1], newest.none)
    torch.testing.assert_close(newest(None, items, 2), newest.none.expand(2, -1, -1))
