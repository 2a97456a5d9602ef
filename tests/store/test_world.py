"""The planted store keeps what it promises: same seed same store, planted rates and effects, and answers in the right order."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from banyan import metrics
from banyan.errors import ConfigError
from banyan.store.load import load
from banyan.store.open import open_store
from banyan.store.world import World, gap_closed, make, stores
from banyan.store.world.labels import INTERESTS, Question, Table
from banyan.store.world.truth import Side
from banyan.store.world.words import ADJECTIVES, NOUNS
from banyan.types import TEST, TRAIN, Array

FROZEN = "9edf18d43e509f104b0e02025d563cce961b355652f27065a5345799f158a52d"
SMALL = {"users": 400, "items": 150}
YES_OR_NO = [("viewed", "cart"), ("viewed", "buy"), ("trials", "keeps"), ("trials", "returns"), ("people", "loyal"), ("club", "vip"), ("campaign", "redeemed")]
YES_OR_NO += [("people", tag) for tag in INTERESTS]
ORDERED = [("people", "lifestage"), ("judged", "grade")]
CUED = [(table, label) for table, label in YES_OR_NO if label != "buy"]


@pytest.fixture(scope="module")
def world() -> World:
    return make(seed=1, users=1500, items=400)


@pytest.fixture(scope="module")
def small() -> World:
    return make(seed=2, **SMALL)


@pytest.fixture(scope="module")
def null() -> World:
    return make(seed=1, null=True, **SMALL)


def asked(world: World, table: str, label: str) -> tuple[Table, Question]:
    return world.samples[table], world.samples[table].questions[label]


def levels(world: World, table: str, label: str, rows: Array) -> list[Array]:
    return [world.oracle[table][f"{label}.{level}"].to_numpy()[rows] for level in ("popularity", "bayes", "full")]


def in_order(popularity: float, bayes: float, full: float, least: float, noise: float) -> None:
    """Bayes is better than popularity by `least`, and no better than full but for the noise of the drawn labels; more is better."""
    assert bayes > popularity + least
    assert full > bayes - noise


def expected_log_loss(truth: Array, answer: Array) -> float:
    """Log loss (nats) expected over labels drawn with the true probabilities: no answer beats the truth itself."""
    return float(-(truth * np.log(answer) + (1 - truth) * np.log1p(-answer)).mean())


def test_the_default_world_is_frozen() -> None:
    default = make()
    assert len(default.truth.users) >= 5000
    assert len(default.truth.items) >= 2000
    assert default.checksum() == FROZEN


def test_the_same_seed_makes_the_same_world_and_another_seed_another(small: World) -> None:
    again, other = make(seed=2, **SMALL), make(seed=4, **SMALL)
    assert small.checksum() == again.checksum() != other.checksum()
    for name, answers in small.oracle.items():
        assert answers.equals(again.oracle[name])


def test_too_small_a_world_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 100 users"):
        make(users=10)


@pytest.mark.parametrize("which", ["small", "null"])
def test_a_written_world_opens_as_a_store_with_the_same_split(which: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    small: World = request.getfixturevalue(which)
    path = small.write(tmp_path, oracles=False)
    assert {task.kind for task in load(path).tasks.values()} == {"binary", "funnel", "classes", "tags", "amount", "count", "graded", "ranking"}
    shop = open_store(path)
    assert shop.cut == (small.calendar.valid, small.calendar.test)
    for name, table in small.samples.items():
        assert np.array_equal(shop.samples[name].part, table.part), name
    assert set(np.unique(shop.samples["next"].part)) == {0, 1, 2}


def test_oracles_lie_beside_the_tables_row_by_row(small: World, tmp_path: Path) -> None:
    small.write(tmp_path)
    for name, table in small.samples.items():
        answers = pl.read_parquet(tmp_path / "oracle" / f"{name}.parquet")
        assert answers["row"].equals(pl.read_parquet(tmp_path / f"{name}.parquet")["row"])
        held = answers.filter(pl.Series(table.part != TRAIN)).drop("row")
        assert held.null_count().sum_horizontal().item() == 0
        bayes = answers.filter(pl.Series(table.part == TRAIN)).select(pl.selectors.ends_with(".bayes"))
        assert bayes.width
        assert all(column.null_count() == len(column) for column in bayes)
    held_views = small.frames["events"].filter((pl.col("event") == "view") & (pl.col("ts").dt.epoch("us") >= small.calendar.valid))
    assert len(pl.read_parquet(tmp_path / "oracle" / "next.parquet").join(held_views, on=["user_id", "ts", "item_id"])) == len(held_views)


def test_the_funnel_has_the_planted_rates(world: World) -> None:
    frame, truth = world.samples["viewed"].frame, world.oracle["viewed"]
    assert not frame.filter((pl.col("buy") == 1) & (pl.col("cart") == 0)).height
    for label in ("cart", "buy"):
        assert frame[label].mean() == pytest.approx(truth[f"{label}.full"].mean(), abs=4 * np.sqrt(0.25 / len(frame)))
    assert (truth["buy.full"] <= truth["cart.full"]).all()
    counts = world.frames["events"]["event"].value_counts()
    assert dict(counts.iter_rows()) == {"view": len(frame), "cart": frame["cart"].sum(), "purchase": frame["buy"].sum()}


def test_cold_items_have_no_event_before_the_test_and_some_in_it(world: World) -> None:
    cold = world.frames["items"].filter(pl.Series(world.truth.cold))["item_id"]
    when = world.frames["events"].filter(pl.col("item_id").is_in(cold.implode()))["ts"].dt.epoch("us")
    assert len(when)
    assert when.min() >= world.calendar.test
    assert not world.samples["trials"].frame.filter(pl.Series(world.samples["trials"].part == TRAIN))["item_id"].is_in(cold.implode()).any()


def test_half_of_a_taste_follows_from_features(world: World) -> None:
    for side in (world.truth.users, world.truth.items):
        hidden = (side.latent - side.visible)[:, :4].var()
        assert hidden == pytest.approx(0.5, abs=0.05)
        assert side.visible[:, :4].var() == pytest.approx(0.5, abs=0.12)


def test_titles_and_pictures_say_what_an_item_is(world: World) -> None:
    items, codes = world.frames["items"], world.truth.items.codes
    said = [any(word in title for noun in NOUNS[category] for word in noun) for title, category in items.select("title", "category").iter_rows()]
    assert all(said)
    for at in (0, 1):
        adjective = [ADJECTIVES[code][at] for code in codes["adjective"]]
        share = np.mean([word in title for word, title in zip(adjective, items["title"], strict=True)])
        assert 0.65 < share < 0.9  # three quarters of the titles are in each language
    looks = np.stack(items["look"].to_list())
    hidden = world.truth.items.latent[:, :4]
    fitted = looks @ np.linalg.lstsq(looks, hidden, rcond=None)[0]
    assert 0.05 < (np.var(fitted) / np.var(hidden)) < 0.3  # an eighth of a taste's variance is to be seen


def test_the_mean_uplift_is_the_difference_that_the_coin_shows(world: World) -> None:
    frame, effect = world.frames["campaign"], world.oracle["campaign"]["uplift.full"].to_numpy()
    treated, label = frame["treated"].to_numpy() == 1, frame["redeemed"].to_numpy()
    seen = label[treated].mean() - label[~treated].mean()
    assert treated.mean() == pytest.approx(0.5, abs=0.03)
    assert seen == pytest.approx(effect.mean(), abs=4 * np.sqrt(1 / len(label)))
    assert effect.std() > 0.1
    assert effect.mean() > 0.05
    held = world.samples["campaign"].part == TEST
    assert np.corrcoef(effect[held], world.oracle["campaign"]["uplift.bayes"].to_numpy()[held])[0, 1] > 0.85


def test_scenarios_shift_which_tastes_count(world: World) -> None:
    views, cart = world.views, world.samples["viewed"].questions["cart"].label
    pairs = world.truth.users.latent[views.user, :4] * world.truth.items.latent[views.item, :4]
    pull = {page: [np.corrcoef(pairs[views.page == page, k], cart[views.page == page])[0, 1] for k in range(4)] for page in (0, 1)}
    assert min(pull[0][:2]) > max(pull[0][2:])
    assert min(pull[1][2:]) > max(pull[1][:2])


@pytest.mark.parametrize(("table", "label"), YES_OR_NO)
def test_yes_or_no_answers_are_in_order(world: World, table: str, label: str) -> None:
    samples, question = asked(world, table, label)
    rows = np.flatnonzero(samples.part == TEST)
    popularity, bayes, full = levels(world, table, label, rows)
    auc = [metrics.auc(answer, question.label[rows]) for answer in (popularity, bayes, full)]
    in_order(*auc, least=0.12, noise=1 / np.sqrt(len(rows)))
    loss = [expected_log_loss(full, answer) for answer in (popularity, bayes, full)]
    in_order(*(-each for each in loss), least=0.04, noise=0.0)


@pytest.mark.parametrize(("table", "label"), ORDERED)
def test_ordered_answers_are_in_order(world: World, table: str, label: str) -> None:
    samples, question = asked(world, table, label)
    rows = np.flatnonzero(samples.part == TEST)
    answers = [world.oracle[table].select(f"{label}.{k}.{level}" for k in range(5)).to_numpy()[rows] for level in ("popularity", "bayes", "full")]
    assert all(np.allclose(answer.sum(1), 1) for answer in answers)
    assert np.array_equal(np.unique(question.label), np.arange(5))
    loss = [float(-(answers[2] * np.log(answer)).sum(1).mean()) for answer in answers]
    in_order(*(-each for each in loss), least=0.2, noise=0.0)
    if table == "judged":
        query = question.score.left_row[rows]
        ndcg = [metrics.ndcg(answer @ np.arange(5), question.label[rows], query, 10) for answer in answers]
        in_order(*ndcg, least=0.05, noise=0.02)


def test_money_and_units_are_in_order(world: World) -> None:
    for table, label, least in (("till", "spend", 0.5), ("demand", "units", 1.0)):
        rows = np.flatnonzero(world.samples[table].part == TEST)
        seen = world.frames[table][label].to_numpy()[rows]
        error = [metrics.rmse(answer, seen) for answer in levels(world, table, label, rows)]
        in_order(*(-each for each in error), least=least, noise=0.03 * error[2])
    spend = world.frames["till"]["spend"]
    assert 0.4 < (spend == 0).mean() < 0.8
    assert spend.min() == 0


def test_true_demand_has_the_planted_weekday_and_trend(world: World) -> None:
    frame = world.frames["demand"].with_columns(rate=pl.Series(world.oracle["demand"]["units.full"]))
    assert frame["units"].mean() == pytest.approx(frame["rate"].mean(), rel=0.02)
    assert metrics.poisson_deviance(frame["rate"].to_numpy(), frame["units"].to_numpy()) == pytest.approx(1.0, abs=0.1)


def test_the_next_view_is_ranked_in_order(world: World) -> None:
    ranks = world.oracle["next"].filter(pl.col("ts").dt.epoch("us") >= world.calendar.test)
    hits = [float((ranks[f"rank.{level}"] <= 20).mean()) for level in ("popularity", "bayes", "full")]
    in_order(*hits, least=0.1, noise=0.01)
    assert ranks.select(pl.selectors.starts_with("rank")).min().min_horizontal().item() >= 1


def features_of_users(world: World) -> Array:
    """(users, F) what a linear model may see: one-hot features, and the categories and pictures of what was viewed in training."""
    truth, views = world.truth, world.views
    train = views.time < world.calendar.valid
    shown = np.hstack([np.eye(12)[truth.items.codes["category"]], truth.look])
    total = np.column_stack([np.bincount(views.user[train], shown[views.item[train], k], len(truth.users)) for k in range(shown.shape[1])])
    seen = np.bincount(views.user[train], minlength=len(truth.users))
    codes = truth.users.codes
    return np.hstack([np.eye(6)[codes["age_group"]], np.eye(30)[codes["city"]], np.eye(4)[codes["channel"]], total / (seen + 5)[:, None]])


def ridge(x: Array, y: Array, strength: float = 3.0) -> Array:
    x = x - x.mean(0)
    return np.linalg.solve(x.T @ x + strength * np.eye(x.shape[1]), x.T @ (y - y.mean()))


def test_the_task_with_few_labels_gains_from_the_one_that_agrees(world: World) -> None:
    x = features_of_users(world)
    club, vip = asked(world, "club", "vip")
    people, loyal = asked(world, "people", "loyal")
    few, many, held = club.part == TRAIN, people.part == TRAIN, club.part == TEST
    member = vip.score.left_row
    alone = ridge(x[member[few]], vip.label[few])
    both = np.concatenate([x[member[few]], x[many]]), np.concatenate([vip.label[few] - vip.label[few].mean(), loyal.label[many] - loyal.label[many].mean()])
    together = ridge(*both)
    scores = [metrics.auc(x[member[held]] @ w, vip.label[held]) for w in (alone, together)]
    best = metrics.auc(world.oracle["club"]["vip.bayes"].to_numpy()[held], vip.label[held])
    assert scores[0] + 0.02 < scores[1] < best
    assert scores[1] > 0.7


def test_tasks_that_fight_cannot_share_one_direction(world: World) -> None:
    trials, keeps = asked(world, "trials", "keeps")
    returns = trials.questions["returns"]
    user, item = keeps.score.left_row, keeps.score.right_row
    pairs = world.truth.users.latent[user, :4] * world.truth.items.latent[item, :4]
    train, held = trials.part == TRAIN, trials.part == TEST
    own = [ridge(pairs[train], q.label[train].astype(float)) for q in (keeps, returns)]
    assert (own[0][:2] * own[1][:2]).min() > 0 > (own[0][2:] * own[1][2:]).max()
    shared = np.linalg.svd(np.stack(own))[2][0]  # the best one direction for both, each with a sign of its own
    lost = []
    for q, weights in zip((keeps, returns), own, strict=True):
        together = metrics.auc(pairs[held] @ shared * np.sign(shared @ weights), q.label[held])
        lost.append(metrics.auc(pairs[held] @ weights, q.label[held]) - together)
    assert min(lost) > 0.02
    assert sum(lost) > 0.1


def test_in_the_null_world_a_label_follows_its_own_cue_and_nothing_shared(null: World) -> None:
    oracle = null.oracle
    for table, label in CUED:
        rows = np.flatnonzero(null.samples[table].part == TEST)
        _popularity, bayes, full = levels(null, table, label, rows)
        assert np.allclose(bayes, full)
        assert metrics.auc(null.frames[table][f"cue_{label}"].to_numpy()[rows], null.samples[table].questions[label].label[rows]) > 0.7
    assert np.allclose(oracle["campaign"]["uplift.full"], 0)
    residual = {label: null.samples["people"].questions[label].label - oracle["people"][f"{label}.full"].to_numpy() for label in ("loyal", *INTERESTS)}
    together = np.corrcoef(np.stack([*residual.values(), *null.truth.users.latent[:, :4].T]))
    off = np.abs(together[: len(residual)][~np.eye(len(together), dtype=bool)[: len(residual)]])
    assert off.max() < 4 / np.sqrt(len(null.truth.users))


def test_in_the_null_world_views_follow_popularity_alone(null: World) -> None:
    pairs = (null.truth.users.latent[null.views.user, :4] * null.truth.items.latent[null.views.item, :4]).sum(1)
    assert abs(pairs.mean()) < 0.15
    same = null.truth.items.codes["category"][null.views.item] == null.views.last
    assert same[null.views.last < 12].mean() < 0.25


def test_the_gap_closed_is_a_share_whichever_way_the_metric_points() -> None:
    assert gap_closed(0.8, 0.6, 0.85) == pytest.approx(0.8)
    assert gap_closed(1.2, 1.6, 1.1) == pytest.approx(0.8)
    assert np.isnan(gap_closed(0.5, 0.5, 0.5))


def test_stores_agree_in_what_features_say_and_share_nobody() -> None:
    one, other = stores(seed=4, count=2, users=100, items=50, days=60)
    for table in ("loyal", "redeem", "interests"):
        assert np.array_equal(getattr(one.truth, table), getattr(other.truth, table))
    mine, theirs = (_by_features(world.truth.users, ("age_group", "city", "channel")) for world in (one, other))
    both = mine.keys() & theirs.keys()
    assert both
    assert all(np.allclose(mine[key], theirs[key]) for key in both)
    assert not np.isclose(one.truth.users.latent[:, :4, None], other.truth.users.latent[:, :4].T[None]).all(1).any()
    assert one.frames["offers"].equals(other.frames["offers"])
    assert one.frames["users"]["user_id"][0] == other.frames["users"]["user_id"][0] == "u00000"


def test_the_same_arguments_give_the_same_stores() -> None:
    first, again = (stores(seed=4, count=2, users=100, items=50, days=60) for _ in range(2))
    assert [world.checksum() for world in first] == [world.checksum() for world in again]
    assert first[0].checksum() != first[1].checksum()
    with pytest.raises(ConfigError, match="at least 2, each of at least 100 users"):
        stores(count=1)


def _by_features(side: Side, features: tuple[str, ...]) -> dict[tuple[int, ...], Array]:
    """Codes of the features -> what they say of tastes."""
    codes = zip(*(side.codes[key].tolist() for key in features), strict=True)
    return dict(zip(codes, side.visible, strict=True))
