"""MTAN: masks over a shared network."""

from tests.sharing.making import VIEWS, make, rows


def test_mtan_masks_only_weaken() -> None:
    part = make("mtan")
    x, scenario = rows()
    shared = x.flatten(1)
    for layer in part.shared:
        shared = layer(shared)
    out = part(x, scenario, range(VIEWS))
    assert ((out >= 0) & (out <= shared)).all()
