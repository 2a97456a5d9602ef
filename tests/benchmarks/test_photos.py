"""The benchmark of photos on a catalogue of a hundred coloured squares: it reads the columns, splits as it says, and answers from either side."""

import io
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

Image = pytest.importorskip("PIL.Image")
photos = pytest.importorskip("benchmarks.photos")

COLOURS = {"Red": (200, 20, 20), "Blue": (20, 20, 200), "Green": (20, 160, 20)}


def square(colour: tuple[int, int, int]) -> bytes:
    pixels = np.full((24, 24, 3), 255, np.uint8)
    pixels[6:18, 6:18] = colour
    into = io.BytesIO()
    Image.fromarray(pixels).save(into, "PNG")
    return into.getvalue()


@pytest.mark.slow
def test_one_model_answers_from_the_photo_the_name_and_both(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw = np.random.default_rng(0)
    colour = draw.choice(list(COLOURS), 300)
    sort = draw.choice(["Shirt", "Shoe"], 300)
    table = {
        "id": np.arange(300),
        "articleType": sort,
        "baseColour": colour,
        "productDisplayName": [f"{c} {s} {i}" for i, (c, s) in enumerate(zip(colour, sort, strict=True))],
        "jpeg": [square(COLOURS[c]) for c in colour],
    }
    (tmp_path / "fashion_catalogue").mkdir()
    pl.DataFrame(table).write_parquet(tmp_path / "fashion_catalogue" / "catalogue.parquet")
    given = ["--data", str(tmp_path), "--only", "fashion", "--seeds", "1", "--network", "colours", "--folder", str(tmp_path / "run"), "--no-baselines"]
    result = photos.main(
        [
            *given,
            "--results",
            str(tmp_path / "R.md"),
            "--picture",
            str(tmp_path / "c.svg"),
            "--set",
            "training.epochs=12",
            "training.batch=16",
            "model.width=32",
        ]
    )
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == result
    fashion = result["fashion"]
    assert fashion["rows"] == sum(photos.hashed(i) % 5 == 1 for i in range(300))
    assert fashion["photo"]["baseColour"]["mean"] > 0.95
    assert fashion["photo"]["articleType"]["mean"] < 0.8, "the squares do not say it"
    assert fashion["name"]["articleType"]["mean"] > 0.9
    assert fashion["both"]["baseColour"]["mean"] > 0.95
    assert "| baseColour |" in (tmp_path / "R.md").read_text()
    assert (tmp_path / "c.svg").read_text().startswith("<svg")
