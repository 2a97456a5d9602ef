"""A value model computes what it says, is always finite, and reads nothing but numbers and the names that it was given."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from banyan.decisions.value import DEPTH, LARGEST, STEPS, Value, Values
from banyan.errors import ConfigError, DataError

KNOWN = ["click.click", "bought.cart", "bought.buy", "next", "item.price", "item.margin", "mood.mood/19-24"]
ROWS = {
    "click.click": np.array([0.1, 0.2, 0.5]),
    "bought.cart": np.array([0.3, 0.0, 1.0]),
    "bought.buy": np.array([0.05, 0.0, 0.7]),
    "next": np.array([-2.0, 0.0, 3.0]),
    "item.price": np.array([10.0, 0.0, 2.0]),
    "item.margin": np.array([0.5, np.nan, -1.0]),
    "mood.mood/19-24": np.array([0.2, 0.3, 0.4]),
}
CLICK, CART, BUY, NEXT, PRICE = (ROWS[name] for name in KNOWN[:5])
MARGIN = np.array([0.5, 0.0, -1.0])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.1*click + 0.4*bought.cart + 1.0*bought.buy*item.margin", 0.1 * CLICK + 0.4 * CART + BUY * MARGIN),
        ("click - bought.cart - bought.buy", CLICK - CART - BUY),
        ("8 / click / 2", 8 / CLICK / 2),
        ("2 + 3 * click", 2 + 3 * CLICK),
        ("(2 + 3) * click", 5 * CLICK),
        ("-click * -2", 2 * CLICK),
        ("- - click", CLICK),
        ("1 - (click - 2)", 3 - CLICK),
        ("min(click, bought.cart, 0.25)", np.minimum(np.minimum(CLICK, CART), 0.25)),
        ("max(next, 0)", np.maximum(NEXT, 0)),
        ("log1p(item.price)", np.log1p(PRICE)),
        ("log1p(next)", np.log1p(np.maximum(NEXT, 0))),
        ("clip(next, -1, 1)", np.clip(NEXT, -1, 1)),
        ("1e30 / (click * 1e-300)", np.full(3, LARGEST)),
        ("click / item.price", np.array([0.01, 0.0, 0.25])),  # by 0 is 0
        ("item.margin", MARGIN),  # missing is 0
        ("fill(item.margin, 0.3) * 2", np.array([1.0, 0.6, -2.0])),
        ("fill(item.margin, click)", np.array([0.5, 0.2, -1.0])),
        ("`mood.mood/19-24` * 1e1", np.array([2.0, 3.0, 4.0])),
        ("1E-2*.5e+1*next + 3.", 0.05 * NEXT + 3),
    ],
)
def test_the_value_is_what_the_expression_says(text: str, expected: np.ndarray) -> None:
    value = Value.parse(text, KNOWN)
    np.testing.assert_allclose(value.of(ROWS), expected, atol=1e-15)
    np.testing.assert_allclose(sum(value.terms(ROWS).values()), expected, atol=1e-15)


def test_names_are_those_read_each_once() -> None:
    value = Value.parse(" click + click*item.price + bought.buy ", KNOWN)
    assert value.names == ("click.click", "item.price", "bought.buy")
    assert value.text == "click + click*item.price + bought.buy"
    assert list(value.terms(ROWS)) == ["click", "click*item.price", "bought.buy"]


@pytest.mark.parametrize(
    ("text", "at", "says"),
    [
        ("", None, "empty"),
        ("   ", None, "empty"),
        ("1 + 2", 1, "names no answer"),
        ("0.1*clik", 5, "Did you mean 'click'"),
        ("bought", 1, "bought.cart, bought.buy"),
        ("click bought.buy", 7, "missing before"),
        ("click +", 8, "the end"),
        ("(click", 7, "closes the bracket of character 1"),
        ("click)", 6, "had ended"),
        ("click > 0.5", 7, "no comparisons"),
        ("click ** 2", 8, "belongs here"),
        ("__import__('os')", 12, "no meaning"),
        ("__import__(click)", 1, "no function '__import__'"),
        ("click.__class__", 1, "no answer"),
        ("().__class__", 3, "no meaning"),
        ("exec(click)", 1, "no function"),
        ("min(click)", 1, "takes 2 to 8 arguments and has 1"),
        ("clip(click, 1)", 1, "takes 3 arguments and has 2"),
        ("fill(click, 1)", 6, "none is missing"),
        ("fill(3, 1)", 6, "name of an item"),
        ("1e999 * click", 1, "larger"),
        ("click + ٣", 9, "no meaning"),
        ("`click", 1, "no meaning"),
        ("click; 1", 6, "no meaning"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(text: str, at: int | None, says: str) -> None:
    with pytest.raises(ConfigError, match="value model") as caught:
        Value.parse(text, KNOWN)
    assert says in str(caught.value)
    assert at is None or f"character {at}:" in str(caught.value)


LONG = ["(" * (DEPTH + 1) + "click" + ")" * (DEPTH + 1), "-" * 1900 + "click", "+".join(["click"] * (STEPS + 1)), "1+" * 5000 + "click"]


@pytest.mark.parametrize("text", LONG)
def test_what_is_too_long_or_too_deep_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"characters|deep|numbers, names"):
        Value.parse(text, KNOWN)


def test_a_long_flat_expression_is_read() -> None:
    value = Value.parse("+".join(["click"] * (STEPS // 2)), KNOWN)
    np.testing.assert_allclose(value.of(ROWS), CLICK * (STEPS // 2))


@given(st.text(alphabet="0123456789.eE+-*/(), clikbuyminaxpogtrfh_`'\"[]{}:;<>=!\\\n\0", max_size=200))
def test_any_text_is_read_or_refused_in_a_sentence(text: str) -> None:
    try:
        value = Value.parse(text, KNOWN)
    except ConfigError:
        return
    assert np.isfinite(value.of(ROWS)).all()


WILD = st.floats(allow_nan=False, allow_infinity=False)
LEAF = st.sampled_from(["click", "next", "item.price", "item.margin", "fill(item.margin, 2)", "0", "1e30", "3"])
SIGN = st.sampled_from(["+", "-", "*", "/"])
WHOLE = st.recursive(LEAF, lambda inner: st.tuples(inner, SIGN, inner).map(lambda each: f"({''.join(each)})") | inner.map("log1p({})".format), max_leaves=12)


@given(WHOLE, st.lists(WILD, min_size=4, max_size=4), st.sampled_from([np.nan, np.inf, -np.inf, 0.0]))
def test_every_value_is_finite(text: str, numbers: list[float], odd: float) -> None:
    answers = {"click.click": np.array(numbers[:2]), "next": np.array(numbers[2:])}
    columns = answers | {"item.price": np.array([odd, numbers[0]]), "item.margin": np.array([numbers[1], odd])}
    found = Value.parse(f"{text} + 0*click", KNOWN).of(columns)
    assert found.shape == (2,)
    assert np.isfinite(found).all()
    assert (np.abs(found) <= LARGEST).all()


def test_an_answer_that_is_not_finite_is_an_error_with_its_row() -> None:
    with pytest.raises(DataError, match="row 1"):
        Value.parse("click", KNOWN).of({"click.click": np.array([0.1, np.nan])})


def test_a_missing_column_and_unlike_lengths_are_errors() -> None:
    value = Value.parse("click + next", KNOWN)
    with pytest.raises(DataError, match="'next'"):
        value.of({"click.click": CLICK})
    with pytest.raises(DataError, match="unlike"):
        value.of({"click.click": CLICK, "next": NEXT[:2]})


def test_no_rows_have_no_values() -> None:
    assert Value.parse("click / 2", KNOWN).of({"click.click": np.zeros(0)}).shape == (0,)


def test_each_scenario_has_its_own_value_or_that_of_all() -> None:
    values = Values.parse({"": "click", "cart page": "bought.buy"}, KNOWN)
    assert values.of("cart page").names == ("bought.buy",)
    assert values.of("home").names == ("click.click",)
    assert Values.parse(values.texts(), KNOWN) == values
    with pytest.raises(ConfigError, match="'home'"):
        Values.parse({"": "click", "home": "nothing"}, KNOWN)
    with pytest.raises(ConfigError, match='""'):
        Values.parse({"home": "click"}, KNOWN)
