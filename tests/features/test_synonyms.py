"""Words that are asked for alike are found from where queries lead; words that stand in the same places and lead elsewhere are not."""

import numpy as np

from banyan.features.synonyms import synonyms

COLOURS = ["red", "blue", "grey", "green"]


def log(seed: int = 1) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Sofas of four colours, asked for as sofa and couch; lamps and tables, asked for by their own names."""
    rng = np.random.default_rng(seed)
    texts, query, item = [], [], []
    for c, colour in enumerate(COLOURS):
        for word, thing in (("sofa", 0), ("couch", 0), ("lamp", 1), ("table", 2)):
            texts.append(f"{colour} {word}")
            taken = rng.choice(20, 10, replace=False)
            query += [len(texts) - 1] * 10
            item += (1 + taken + 20 * (4 * thing + c)).tolist()
    return texts, np.array(query), np.array(item)


def test_what_leads_to_the_same_items_is_alike() -> None:
    found = synonyms(*log())
    assert {(each.word, each.other) for each in found} == {("sofa", "couch"), ("couch", "sofa")}
    assert all(0.25 <= each.weight <= 1 and each.together >= 3 for each in found)


def test_a_few_accidents_are_no_synonyms() -> None:
    texts, query, item = log()
    lamp = np.flatnonzero(query == texts.index("red lamp"))[:1]
    sofa = item[query == texts.index("red sofa")][:1]
    found = synonyms(texts, np.append(query, query[lamp]), np.append(item, sofa))
    assert {each.word for each in found} == {"sofa", "couch"}


def test_nothing_is_no_error() -> None:
    assert synonyms([], np.zeros(0, np.int64), np.zeros(0, np.int64)) == []
    assert synonyms(["a", ""], np.array([0, 1]), np.array([1, 1])) == []


def test_one_item_that_everything_leads_to_says_nothing() -> None:
    texts = [f"word{i}" for i in range(300)]
    assert synonyms(texts, np.repeat(np.arange(300), 2), np.tile([1, 2], 300)) == []
