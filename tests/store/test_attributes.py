"""`attributes`: one row a row of the entity that has a label."""

import numpy as np
import polars as pl
import pytest

from banyan.errors import ConfigError
from banyan.store.samples import attributes
from banyan.store.shop import EntityFrame


def people(valid_from=None):
    frame = pl.DataFrame(
        {"user_id": ["a", "b", "c", "c"], "age": ["young", None, "old", "older"], "size": [1.0, None, None, None], "city": ["x", "y", "z", "z"]}
    )
    if valid_from is None:
        frame = frame[:3]
    return {"user": EntityFrame("user", frame, frame["user_id"].to_numpy(), valid_from)}


def make(store_of, entities, **options):
    store = store_of(**{"recipe": "attributes", "of": "user", "labels": {"age_group": "age", "size": "size"}, **options})
    return attributes.make("rows", store.samples["rows"], store, entities, None)


def test_rows_without_any_label_are_left_out_and_the_others_keep_their_number(store_of):
    raw = make(store_of, people())
    assert raw.entities["user"].tolist() == [1, 3]
    assert raw.labels["age_group"].to_list() == ["young", "old"]
    assert raw.labels["size"].to_list() == [1.0, None]
    assert raw.time is None
    assert raw.context.width == 0


def test_of_several_states_of_one_id_the_newest_is_the_row(store_of):
    raw = make(store_of, people(np.array([0, 0, 0, 9])))
    assert raw.entities["user"].tolist() == [1, 4]
    assert raw.labels["age_group"].to_list() == ["young", "older"]


def test_wrong_names_are_refused_with_what_is_known(store_of):
    with pytest.raises(ConfigError, match=r"'agee' is no feature of user.*Did you mean 'age'"):
        make(store_of, people(), labels={"age": "agee"})
    with pytest.raises(ConfigError, match=r"'towns' is no feature of user"):
        make(store_of, people(), drop=["towns"])
    with pytest.raises(ConfigError, match=r"`of` is 'person', which is no entity.*Known: user"):
        make(store_of, people(), of="person")
