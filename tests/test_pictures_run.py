"""A whole run with photos: check, train, save, and answer for items that training never saw, by bytes and by path, with photo and without."""

import io
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from banyan.errors import DataError
from banyan.run import Run, check, train

Image = pytest.importorskip("PIL.Image", reason="pictures need pillow")
ITEMS, BROKEN = 240, 3
COLOURS = {"red": (200, 30, 30), "blue": (30, 30, 200)}


def photo(colour: str, seed: int) -> bytes:
    draw = np.random.default_rng(seed)
    pixels = np.full((20, 24, 3), 255, np.uint8)
    pixels[4:16, 4:20] = np.clip(np.array(COLOURS[colour]) + draw.integers(-20, 20, (12, 16, 3)), 0, 255)
    into = io.BytesIO()
    Image.fromarray(pixels).save(into, "PNG")
    return into.getvalue()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    (folder / "photos").mkdir()
    colours = np.random.default_rng(0).choice(list(COLOURS), ITEMS)
    for i, colour in enumerate(colours):
        (folder / "photos" / f"{i}.png").write_bytes(photo(colour, i) if i >= BROKEN else b"cut off")
    address = [f"https://cdn.shop/{i}.png?w=300" for i in range(ITEMS)]
    pl.DataFrame({"id": [f"i{i}" for i in range(ITEMS)], "photo": address}).write_csv(folder / "items.csv")
    pl.DataFrame({"id": [f"i{i}" for i in range(ITEMS)], "colour": colours}).write_csv(folder / "labels.csv")
    described = {
        "entities": {
            "item": {
                "table": "items.csv",
                "id": "id",
                "embed_id": False,
                "features": {
                    "photo": {"kind": "image", "under": "photos", "network": "colours"},
                    "small": {"kind": "image", "column": "photo", "under": "photos", "pixels": 16},
                },
            }
        },
        "samples": {"seen": {"table": "labels.csv", "item": "id", "labels": {"colour": "colour"}, "split": {"by": "random"}}},
        "tasks": {"colour": {"kind": "classes", "samples": "seen"}},
        "model": {"history": None, "encoders": {"pixels": {"part": "convnet", "channels": 8}}},
        "training": {"epochs": 6, "batch": 32},
    }
    (folder / "store.yaml").write_text(yaml.safe_dump(described), encoding="utf-8")
    return folder / "store.yaml"


@pytest.fixture(scope="module")
def run(page: Path) -> Run:
    return train(page, page.parent / "run", alone=False, simple=False, draws=0)


@pytest.mark.slow
def test_photos_are_learned_and_broken_ones_are_told(run: Run) -> None:
    assert run.evaluation.figures["colour"]["accuracy"] > 0.95
    told = [note for note in run.notes if "pictures cannot be read (3 not a picture)" in note]
    assert len(told) == 2, "of each feature, once"
    assert all("They count as missing" in note for note in told)


@pytest.mark.slow
def test_check_names_the_broken_ones(page: Path) -> None:
    found = [each for each in check(page) if each.where == "entities.item.photo" and each.severity == "warning"]
    assert len(found) == 1
    assert "'i0': not a picture" in found[0].found


@pytest.mark.slow
def test_new_items_are_answered_by_path_by_bytes_and_without_a_photo(run: Run, page: Path) -> None:
    (page.parent / "photos" / "new.png").write_bytes(photo("blue", 999))
    by_path = run.bundle.with_entities("item", pl.DataFrame({"id": ["n1", "n2"], "photo": ["new.png", None]}))
    by_bytes = run.bundle.with_entities("item", pl.DataFrame({"id": ["n1", "n2"], "photo": [photo("blue", 999), photo("red", 998)]}))
    one, other = (each.predict("seen", pl.DataFrame({"id": ["n1", "n2"]})) for each in (by_path, by_bytes))
    assert one["colour.colour/blue"][0] == pytest.approx(other["colour.colour/blue"][0])
    assert other["colour.colour/blue"][0] > 0.8
    assert other["colour.colour/red"][1] > 0.8
    assert 0.2 < one["colour.colour/blue"][1] < 0.8, "without a photo nobody can tell"


@pytest.mark.slow
def test_a_request_reads_no_other_file(run: Run) -> None:
    with pytest.raises(DataError, match="a picture lies below"):
        run.bundle.with_entities("item", pl.DataFrame({"id": ["n1"], "photo": ["../store.yaml"]}))
