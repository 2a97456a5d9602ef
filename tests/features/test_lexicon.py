"""What a catalogue says about words."""

import json

import numpy as np
import polars as pl
import pytest

from banyan.features.lexicon import letters, lexicon, plain, restored

TITLES = ["Red Velvet Sofa with Cushions in Blue", "2 in. Doorstop for Doors", "红色连衣裙 丝绸", "x", "3/4 in. Angle Bracket", None, "Blue Sofa"]


def test_a_lexicon_survives_as_json() -> None:
    known = lexicon(letters(pl.Series(TITLES, dtype=pl.String)))
    again = restored(json.loads(json.dumps(plain(known))))
    assert np.allclose(again.idf, known.idf, atol=1e-4)
    assert again.length == pytest.approx(known.length, abs=1e-4)
    assert len(plain(known)["bucket"]) < 30
