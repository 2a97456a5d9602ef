"""The whole house in one process: a real bundle, registry, journal and engine behind the routes; versions are promoted and rolled back while it answers."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from banyan.bundle import forget
from banyan.errors import DataError
from banyan.serving.asking import EngineOptions
from banyan.serving.house import HOUSE, House, settle
from banyan.serving.registry import Registry
from banyan.serving.service import Options
from banyan.serving.state import journal_at, user_state_at
from banyan.serving.state.erase import Tombstones


@pytest.fixture
def visit(tmp_path: Path, bundles: dict[str, Path], visiting: Callable[[House], Any]) -> Iterator[Any]:
    titles = tmp_path / "titles.csv"
    pl.DataFrame({"item_id": [f"i{n}" for n in range(20)], "name": [f"Thing {n}" for n in range(20)]}).write_csv(titles)
    house = House(tmp_path / "state", Options(items=titles), EngineOptions())
    house.state.mkdir()
    said: list[str] = []
    settle(house, bundles["old"], said.append)
    assert "answers as 0001-" in said[0]
    with visiting(house) as found:
        yield found


def test_the_store_and_its_items(visit: Any) -> None:
    store = visit("GET", "/v1/store").json()
    assert store["behaviours"]
    assert store["entities"]["item"]["kind"]["kind"] == "category"
    assert set(store["entities"]["item"]["kind"]["values"]) == {"p", "q"}
    page = visit("GET", "/v1/items?where=kind:p&count=3&facets=true").json()
    assert {each["features"]["kind"] for each in page["items"]} == {"p"}
    assert page["facets"]["kind"] == {"p": page["total"]}
    seen, cursor = [], "0"
    while cursor is not None:
        found = visit("GET", f"/v1/items?order=id&count=7&cursor={cursor}").json()
        seen, cursor = [*seen, *(each["item"] for each in found["items"])], found["next"]
    assert sorted(seen) == sorted(f"i{n}" for n in range(20))
    item = visit("GET", "/v1/items/i3").json()
    assert item["features"]["name"] == "Thing 3"
    assert visit("GET", "/v1/items/nothing").status_code == 404
    assert visit("GET", "/v1/items?where=nothing:1").status_code == 422


ASKS: dict[str, dict[str, Any]] = {
    "recommend": {"user": "u1", "k": 3, "explain": True, "filters": {"equal": {"kind": ["p"]}}},
    "search": {"user": "u1", "query": "red dress", "k": 3},
    "rank": {"user": "u1", "items": ["i1", "i2", "unheard"], "k": 3},
    "similar": {"item": "i1", "k": 3},
    "explain": {"user": "u1", "item": "i1"},
    "predict": {"table": "viewed", "rows": [{"user_id": "u1", "item_id": "i1", "page": "home"}]},
}


def test_every_kind_of_question_is_answered_by_a_real_bundle(visit: Any) -> None:
    for name, body in ASKS.items():
        answer = visit("POST", f"/v1/{name}", body)
        assert answer.status_code == 200, (name, answer.text)
        assert answer.json()["model"].startswith("0001-")
    columns = visit("GET", "/v1/store").json()["tables"]["weekly"]
    row = {name: {"category": "p", "number": 1.0}[kind] for name, kind in columns.items() if kind in ("category", "number")}
    series = visit("POST", "/v1/forecast", {"table": "weekly", "rows": [row, row]}).json()["series"]
    assert len(series) == 2
    assert all(value >= 0 for each in series for value in each["answers"].values())
    lacking = visit("POST", "/v1/forecast", {"table": "weekly", "rows": [{"item_kind": "p"}]})
    assert lacking.status_code == 422
    assert "reads lag_1, " in lacking.json()["error"]["message"]
    assert "send the newest row of each series" in lacking.json()["error"]["message"]
    assert visit("GET", "/v1/users/u1/profile").json()["known"] is True
    assert visit("GET", "/v1/users/nobody/profile").json()["known"] is False


def test_the_next_answer_knows_an_event_and_a_forgotten_user_is_a_stranger(visit: Any) -> None:
    ask = {"user": "u1", "k": 5, "filters": {"leave_out": ["buy"]}}
    first = visit("POST", "/v1/recommend", ask).json()["items"][0]["item"]
    told = {"events": [{"id": "e1", "user": "u1", "item": first, "behaviour": "buy", "scenario": "home"}]}
    assert visit("POST", "/v1/events", told).json()["accepted"] == 1
    assert first not in [each["item"] for each in visit("POST", "/v1/recommend", ask).json()["items"]]
    assert visit("DELETE", "/v1/users/u1").json()["forgotten"]["events"] == 1
    assert first in [each["item"] for each in visit("POST", "/v1/recommend", ask).json()["items"]]


def test_what_happened_in_a_session_counts_for_it_and_for_the_user_who_is_found_in_it(visit: Any) -> None:
    def items(**who: str) -> list[str]:
        return [each["item"] for each in visit("POST", "/v1/recommend", {"k": 5, "filters": {"leave_out": ["buy"]}} | who).json()["items"]]

    first = items(session="s1")[0]
    told = {"events": [{"id": "e1", "session": "s1", "item": first, "behaviour": "buy", "scenario": "home"}]}
    assert visit("POST", "/v1/events", told).json()["accepted"] == 1
    assert first not in items(session="s1")
    assert first not in items(user="somebody new", session="s1")
    assert first in items(session="s2")
    assert first in items(user="s1")  # a user who is called as the session is somebody else


def test_a_version_is_taken_in_checked_promoted_and_rolled_back(visit: Any, bundles: dict[str, Path]) -> None:
    for n in range(3):
        visit("POST", "/v1/recommend", {"user": f"u{n}", "k": 3})
    old = visit("POST", "/v1/recommend", {"user": "u1", "k": 5}).json()
    shutil.copytree(bundles["new"], visit.house.state / "incoming" / "new")
    versions = visit("POST", "/v1/models", {"folder": "new", "note": "another seed"}).json()["versions"]
    assert [each["note"] for each in versions] == ["another seed", ""]
    name = versions[0]["version"]
    assert visit("POST", f"/v1/models/{name}/check").json()["passed"] is True
    promoted = visit("POST", f"/v1/models/{name}/promote")
    assert promoted.json()["active"] == name, promoted.text
    new = visit("POST", "/v1/recommend", {"user": "u1", "k": 5}).json()
    assert new["model"] == name != old["model"]
    assert visit("POST", "/v1/models/roll_back").json()["active"] == old["model"]
    again = visit("POST", "/v1/recommend", {"user": "u1", "k": 5}).json()
    assert again["items"] == old["items"]
    assert [each["who"] for each in visit("GET", "/v1/models").json()["changes"]] == ["admin", "admin", "banyan serve"]


def test_a_broken_bundle_is_refused_with_its_reason_and_the_old_one_stays(visit: Any, bundles: dict[str, Path]) -> None:
    broken = visit.house.state / "incoming" / "broken"
    shutil.copytree(bundles["new"], broken)
    with (broken / "weights.safetensors").open("r+b") as file:
        file.seek(200)
        file.write(b"\0\1\2\3")
    answer = visit("POST", "/v1/models", {"folder": "broken"})
    assert answer.status_code == 422
    assert "weights.safetensors" in answer.json()["error"]["message"]
    assert visit("POST", "/v1/recommend", {"user": "u1"}).json()["model"].startswith("0001-")
    for name in ("nothing", "..", "a/b"):
        assert visit("POST", "/v1/models", {"folder": name}).status_code in (404, 422)
    assert visit("POST", "/v1/models/9999-nothing/promote").status_code == 404


def test_an_experiment_is_sticky_and_says_its_arm(visit: Any, bundles: dict[str, Path]) -> None:
    shutil.copytree(bundles["new"], visit.house.state / "incoming" / "new")
    name = visit("POST", "/v1/models", {"folder": "new"}).json()["versions"][0]["version"]
    begun = visit("POST", "/v1/experiments", {"name": "seeds", "version": name, "share": 0.5})
    assert begun.status_code == 200, begun.text
    assert begun.json()["experiments"][0]["name"] == "seeds"
    arms = {f"u{n}": visit("POST", "/v1/recommend", {"user": f"u{n}", "k": 1}).json() for n in range(12)}
    assert {each["variant"] for each in arms.values()} == {"control", "candidate"}
    for user, before in arms.items():
        assert visit("POST", "/v1/recommend", {"user": user, "k": 1}).json()["model"] == before["model"]
    assert visit("POST", "/v1/experiments/stop").status_code == 200
    assert {visit("POST", "/v1/recommend", {"user": user}).json()["variant"] for user in arms} == {""}


def test_a_value_model_reorders_and_one_that_cannot_be_read_is_refused(visit: Any) -> None:
    names = visit("GET", "/v1/value").json()["names"]
    assert "item.price" in names
    cheap = visit("PUT", "/v1/value", {"expression": "0 - item.price"})
    assert cheap.status_code == 200, cheap.text
    answer = visit("POST", "/v1/recommend", {"user": "u1", "k": 20}).json()
    assert answer["value"] == cheap.json()["version"]
    prices = [visit("GET", f"/v1/items/{each['item']}").json()["features"].get("price", 0.0) for each in answer["items"]]
    assert prices == sorted(prices)
    for wrong in ("item.nothing", "buy(", "().__class__", "1 if 1 else 2", "item.price" * 300):
        assert visit("PUT", "/v1/value", {"expression": wrong}).status_code == 422
    shown = visit("POST", "/v1/value/preview", {"expression": "item.price", "users": ["u1"], "k": 5}).json()["shifts"][0]
    assert shown["before"] != shown["after"]


def test_a_bundle_that_is_known_already_undoes_no_promotion(visit: Any, bundles: dict[str, Path]) -> None:
    said: list[str] = []
    settle(visit.house, bundles["new"], said.append)
    assert "answers as 0002-" in said[0]
    settle(visit.house, bundles["old"], said.append)
    assert "0002-" in said[1]
    assert "answers, as was decided" in said[1]


def test_who_was_forgotten_is_in_no_bundle_that_is_added_later(visit: Any, bundles: dict[str, Path]) -> None:
    assert visit("DELETE", "/v1/users/u1").status_code == 200
    shutil.copytree(bundles["new"], visit.house.state / "incoming" / "new")
    name = visit("POST", "/v1/models", {"folder": "new"}).json()["versions"][0]["version"]
    assert "u1" in forget.users(bundles["new"])
    kept = forget.users(visit.service.registry.version(name).path)
    assert "u1" not in kept
    assert "u2" in kept
    assert visit("POST", f"/v1/models/{name}/promote").json()["active"] == name
    assert visit("GET", "/v1/users/u1/profile").json()["known"] is False
    again = visit("POST", "/v1/models", {"folder": "new"}).json()["versions"]
    assert again[0]["version"] == name, "the same bundle is the version that it is already"


def test_who_is_forgotten_while_a_bundle_is_added_is_not_in_it(tmp_path: Path, bundles: dict[str, Path]) -> None:
    journal = journal_at(tmp_path)
    tombstones, looked = Tombstones(journal), list[Path]()

    class Meanwhile:
        def newest(self) -> int:
            return tombstones.newest()

        def clean(self, bundle: Path, to: Path) -> bool:
            found = tombstones.clean(bundle, to)
            if not looked:
                journal.forget("u2")
            looked.append(bundle)
            return found

    version = Registry(tmp_path / "models", journal, gone=Meanwhile()).add(bundles["new"])
    assert len(looked) == 2
    assert "u2" not in forget.users(version.path)
    assert version.edition == 2
    journal.close()


def test_an_id_may_hold_a_slash(visit: Any) -> None:
    told = {"events": [{"id": "e1", "user": "red/blue", "item": "i1", "behaviour": "buy"}, {"id": "e2", "user": "50%2F", "item": "i2", "behaviour": "buy"}]}
    assert visit("POST", "/v1/events", told).status_code == 200
    assert [each["id"] for each in visit("GET", "/v1/users/red%2Fblue/events").json()["events"]] == ["e1"]
    assert [each["id"] for each in visit("GET", "/v1/users/50%252F/events").json()["events"]] == ["e2"]
    assert visit("GET", "/v1/users/red%2Fblue/profile").json()["user"] == "red/blue"
    assert visit("GET", "/v1/items/a%2Fb").json()["error"]["message"] == "There is no item 'a/b'."
    assert visit("GET", "/v1/users/red/blue/events").json()["error"]["code"] == "not_found"
    assert visit("GET", "/v1%2Fstore").status_code == 404
    assert visit("DELETE", "/v1/users/red%2Fblue").json()["user"] == "red/blue"


def test_several_items_are_asked_for_at_once(visit: Any) -> None:
    found = visit("POST", "/v1/items", {"items": ["i3", "nothing", "i1", "i3"]}).json()
    assert [(each["item"], each["features"]["name"]) for each in found["items"]] == [("i3", "Thing 3"), ("i1", "Thing 1")]
    assert found["unknown"] == ["nothing"]
    assert visit("POST", "/v1/items", {"items": ["i1"] * 1001}).status_code == 422


def test_the_shops_own_synonyms_reach_every_worker_and_a_bad_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = tmp_path / "words.txt"
    words.write_text("sofa, couch\n")
    monkeypatch.setenv(HOUSE, "")
    House(tmp_path / "state", synonyms=words).to_environment()
    house = House.of_environment()
    users = user_state_at(house.journal())
    assert house.opening(users).options.alike == (("sofa", "couch"),)
    words.write_text("sofa, couch\nlamp\n")
    with pytest.raises(DataError, match=r"words.txt, line 2 has 1 words"):
        house.opening(users)
