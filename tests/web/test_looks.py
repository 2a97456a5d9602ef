import pytest

from banyan.web.looks import Deeds, Feature, Looks, hue, initials, readable

GROCER = {
    "department": Feature("category", ["GROCERY", "MEAT", "DRUG GM"]),
    "brand": Feature("category", ["National", "Private"]),
    "product_category": Feature("category", [f"C{n}" for n in range(40)]),
    "product_type": Feature("category", [f"T{n}" for n in range(50)]),
    "package_size": Feature("shown"),
    "price": Feature("number"),
}


def test_a_store_with_a_title_a_picture_and_a_price():
    looks = Looks.of(
        {"product_name": Feature("shown"), "image_url": Feature("shown"), "sale_price": Feature("number"), "类目": Feature("category", ["鞋", "茶"])}
    )
    assert (looks.title, looks.picture, looks.price, looks.category) == ("product_name", "image_url", "sale_price", "类目")
    assert looks.filtered == ("类目",)


def test_a_store_without_a_title_is_called_by_its_types():
    looks = Looks.of(GROCER)
    assert looks.title == "product_type"
    assert looks.measure == "package_size"
    assert looks.name("17", {"product_type": "FRZN_MEAT", "package_size": "12 OZ"}) == "Frzn meat · 12 oz"
    assert looks.category == "product_category"


def test_a_store_that_says_nothing_shows_ids():
    looks = Looks.of({})
    assert looks == Looks()
    assert looks.name("i-4", {}) == "i-4"
    assert looks.image({}) == ""
    assert looks.cost({}) is None
    assert looks.group({}) == ""
    assert looks.details({"weight": 1.5}) == [("Weight", "1.5")]


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "//elsewhere.example/a.png", "http://a b", 'https://a"onerror=', "data:image/png;base64,", "ftp://a/b", "", "http:"]
)
def test_no_picture_but_one_of_the_web(address):
    assert Looks(picture="p").image({"p": address}) == ""


@pytest.mark.parametrize("address", ["https://shop.example/a.png", "/pictures/4.jpg"])
def test_a_picture_of_the_web(address):
    assert Looks(picture="p").image({"p": address}) == address
    assert Looks(picture="p").image({"p": [address]}) == address


@pytest.mark.parametrize("price", ["a lot", None, []])
def test_a_price_that_is_no_number_is_none(price):
    assert Looks(price="p").cost({"p": price}) is None


def test_what_the_store_calls_its_deeds():
    assert Deeds.of(["pv", "fav", "add_to_cart", "buy"]) == Deeds("pv", "add_to_cart", "buy")
    assert Deeds.of(["purchase"]) == Deeds("view", "cart", "purchase")


def test_initials_and_colours_stand_for_a_name():
    assert initials("green tea") == "GT"
    assert initials("红茶") == "红"
    assert initials("  ") == "?"
    assert hue("tea") == hue("tea")
    assert 0 <= hue("tea") < 360
    assert len({hue(name) for name in "abcdefgh"}) > 4


def test_words_are_written_as_people_write():
    assert readable("product_category") == "Product category"
    assert readable("SOFT  DRINKS") == "Soft drinks"
    assert readable("TV") == "TV"
