"""Promises of the fine-tuned language model as an encoder: only its deltas move and are kept, and a text means the same online as offline."""

import copy
import json
import shutil
from pathlib import Path

import polars as pl
import pytest
import torch
import yaml

from banyan import parts
from banyan.bundle import Bundle, save
from banyan.encoders import Encoder
from banyan.errors import BundleError, ConfigError
from banyan.features.build import build, task_options
from banyan.features.step import Feeder
from banyan.features.texts import Texts
from banyan.model import Network
from banyan.store.open import open_store
from banyan.store.schema import Feature
from banyan.training.loop import Fit
from banyan.types import Column

TITLES = ["red dress", "blue hammers", "warm cotton shirt", "velvet sofa", "红色 丝绸 裙", "the red sofa 2", "blue shirts", "hammer"]


def encoder(model: Path, **options: object) -> Encoder:
    torch.manual_seed(3)
    made: Encoder = parts.build("encoders", {"part": "tuned", "model": str(model), "dropout": 0.0, **options}, 8, 6)
    return made


def column(model: Path) -> Column:
    return Column(numbers=torch.from_numpy(Texts().tokens(pl.Series([*TITLES, None, ""]), str(model), 6)))


def test_texts_become_tokens_of_the_models_own_vocabulary(language_model: Path) -> None:
    rows = Texts().tokens(pl.Series(["red hammers", None, " ", "red hammers", "red " * 40]), str(language_model), 6)
    assert rows.tolist()[0] == [3, 6, 10, 16, 4, 0]  # [CLS] red hammer ##s [SEP], each one further than its place
    assert not rows[[1, 2]].any()
    assert (rows[3] == rows[0]).all()
    assert (rows[4] == [3, 6, 6, 6, 6, 4]).all()


def test_only_the_deltas_learn_and_are_saved(language_model: Path) -> None:
    made, values = encoder(language_model), column(language_model)
    before = {key: each.clone() for key, each in made.named_parameters()}
    token = made.eval()(values)
    optimiser = torch.optim.SGD([each for each in made.parameters() if each.requires_grad], lr=0.1)
    for _ in range(2):  # the first step only moves the factor that was zero
        made.train()(values).square().sum().backward()
        optimiser.step()
        optimiser.zero_grad()
    moved = {key for key, each in made.named_parameters() if not torch.equal(each, before[key])}
    assert {key for key in moved if key.startswith("body.")} == {key for key in before if "lora_" in key}
    assert sum("lora_" in key for key in moved) == 2 * 2 * 6  # two factors beside the six maps of each of two layers
    assert set(made.state_dict()) == moved
    again = encoder(language_model)
    assert torch.equal(again.eval()(values), token)
    again.load_state_dict(made.state_dict())
    assert torch.equal(again(values), made.eval()(values))
    assert not torch.equal(again(values), token)


def test_recomputing_layers_changes_no_gradient(language_model: Path) -> None:
    found = []
    for checkpointing in (True, False):
        made = encoder(language_model, checkpointing=checkpointing).train()
        for module in made.modules():  # the language model's own dropout draws anew
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        made(column(language_model)).square().sum().backward()
        found.append([each.grad for each in made.parameters() if each.requires_grad])
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*found, strict=True))


def test_texts_go_through_the_model_in_pieces_of_like_length_and_mean_the_same(language_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, values = encoder(language_model).eval(), column(language_model)
    whole, shapes = made(values), []
    monkeypatch.setattr("banyan.encoders.tuned.PIECE", 12)
    read = made._of
    monkeypatch.setattr(made, "_of", lambda ids, real: (shapes.append(tuple(ids.shape)), read(ids, real))[1])
    assert torch.allclose(made(values), whole, atol=1e-6)
    assert all(rows * length <= 12 or rows == 1 for rows, length in shapes)
    assert len(shapes) > 2
    assert [length for _, length in shapes] == sorted((length for _, length in shapes), reverse=True)
    assert sum(rows for rows, _ in shapes) == len(TITLES)
    behind = Column(numbers=values.numbers.flip(1))  # a tokenizer that fills up in front
    assert made(behind).isfinite().all()


def test_a_longer_text_than_the_model_reads_is_cut(language_model: Path) -> None:
    made = parts.build("encoders", {"part": "tuned", "model": str(language_model), "tokens": 40}, 8, 40).eval()
    assert made(Column(numbers=torch.full((2, 40), 7.0))).isfinite().all()  # it knows 24 positions


@pytest.mark.parametrize(
    ("encoder", "said"),
    [
        ("tuned", "needs the option 'model'"),
        ({"part": "tuned", "model": "m", "ranks": 3}, "Did you mean 'rank'"),
        ({"part": "tuned", "model": "m", "rank": 0}, "'rank' is 0"),
        ({"part": "frozen", "name": "m"}, "no way to read a text"),
        ("bag", "no way to read a text"),
    ],
)
def test_a_wrong_description_is_refused_where_it_stands(encoder: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Feature(kind="text", encoder=encoder)
    with pytest.raises(ValueError, match="encoder says how a text is read"):
        Feature(kind="number", encoder="frozen")


@pytest.fixture(scope="module")
def saved(language_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, object]]:
    """(the shop's folder, a bundle of it, what it answers) of a store whose titles and queries are read by the model, tuned and frozen."""
    folder = tmp_path_factory.mktemp("shop")
    rows = range(160)
    pl.DataFrame({"item": [f"i{i}" for i in range(8)], "title": TITLES}).write_parquet(folder / "items.parquet")
    pl.DataFrame({"term": TITLES[::2], "text": TITLES[::2]}).write_parquet(folder / "queries.parquet")
    grades = [1.0 + (i * 7 % 8 == i % 4) + (i % 3 == 0) for i in rows]
    pl.DataFrame({"term": [TITLES[::2][i % 4] for i in rows], "what": [f"i{i * 7 % 8}" for i in rows], "grade": grades}).write_parquet(
        folder / "judged.parquet"
    )
    model, tuned = str(language_model), {"part": "tuned", "model": str(language_model), "tokens": 8, "rank": 2}
    words = {"kind": "text", "buckets": 64}
    described = {
        "entities": {
            "item": {
                "table": "items.parquet",
                "id": "item",
                "embed_id": False,
                "features": {
                    "title": {"kind": "text", "encoder": tuned},
                    "meaning": {"kind": "text", "column": "title", "encoder": {"part": "frozen", "model": model}},
                    "words": {**words, "column": "title"},
                },
            },
            "query": {"table": "queries.parquet", "id": "term", "embed_id": False, "features": {"text": {"kind": "text", "encoder": tuned}}},
        },
        "samples": {"judged": {"table": "judged.parquet", "query": "term", "item": "what", "labels": {"grade": "grade"}}},
        "tasks": {"fits": {"kind": "graded", "samples": "judged", "label": "grade", "levels": [1, 2, 3]}},
        "split": {"by": "random", "valid": 0.2, "test": 0.2},
        "model": {"width": 4, "sharing": "bottom"},
        "training": {"batch": 64, "epochs": 1, "steps": 3, "bf16": False},
    }
    (folder / "store.yaml").write_text(yaml.safe_dump(described))
    shop = open_store(folder / "store.yaml")
    data = build(shop, Texts(folder / "texts.sqlite"))
    torch.manual_seed(0)
    network = Network(data.plan, shop.store.model, shop.store.tasks)
    feeder = Feeder(data, {task: task_options(shop.store, task) for task in shop.store.tasks})
    Fit(network, feeder, shop.store.tasks, shop.store.training, "fixed").run()
    path = save(folder / "bundle", network, data, shop.store)
    asked = pl.DataFrame({"term": TITLES[::2] * 2, "what": [f"i{i}" for i in range(8)]})
    return folder, path, {"asked": asked, "answers": Bundle.load(path).predict("judged", asked)["fits.grade"].to_numpy()}


def test_a_new_item_with_a_known_title_is_answered_as_the_known_one(saved: tuple[Path, Path, dict[str, object]]) -> None:
    _, path, kept = saved
    new = pl.DataFrame({"item": [f"n{i}" for i in range(8)], **dict.fromkeys(("title", "meaning", "words"), TITLES)})
    grown = Bundle.load(path).with_entities("item", new)
    answers = grown.predict("judged", kept["asked"].with_columns(pl.col("what").str.replace("i", "n")))["fits.grade"].to_numpy()
    assert abs(answers - kept["answers"]).max() <= 1e-5
    assert kept["answers"].std() > 0


def test_the_bundle_holds_deltas_and_says_which_model_they_belong_to(saved: tuple[Path, Path, dict[str, object]], language_model: Path) -> None:
    _, path, _ = saved
    plan = json.loads((path / "plan.json").read_text())
    assert set(plan["models"]) == {str(language_model)}
    assert (path / "weights.safetensors").stat().st_size < 120_000
    assert (language_model / "model.safetensors").stat().st_size < 60_000  # tiny, and not in there twice


def test_a_bundle_finds_its_model_where_the_machine_keeps_them_and_refuses_another(
    saved: tuple[Path, Path, dict[str, object]], language_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, path, kept = saved
    moved = Path(shutil.copytree(language_model, tmp_path / "models" / language_model.name))
    aside = language_model.with_name("aside")
    language_model.rename(aside)
    try:
        with pytest.raises(BundleError, match="what was learned on top of a language model"):
            Bundle.load(path)
        monkeypatch.setenv("BANYAN_MODELS", str(moved.parent))
        assert (Bundle.load(path).predict("judged", kept["asked"])["fits.grade"].to_numpy() == kept["answers"]).all()
        (moved / "vocab.txt").write_text("another")
        with pytest.raises(BundleError, match="is not the language model"):
            Bundle.load(path)
    finally:
        aside.rename(language_model)


def test_a_frozen_encoder_that_changed_is_refused_when_a_new_text_comes(saved: tuple[Path, Path, dict[str, object]]) -> None:
    _, path, _ = saved
    bundle = Bundle.load(path)
    texts = copy.copy(bundle.texts)
    texts.expect(dict.fromkeys(bundle.plan.models, "another"))
    with pytest.raises(ConfigError, match="is not the one that was trained with"):
        texts.vectors(pl.Series(["red"]), next(iter(bundle.plan.models)))
