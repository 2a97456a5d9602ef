"""Keys are shown once, kept as hashes, refused when revoked, and never mixed up."""

import hashlib
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from banyan.cli import app
from banyan.errors import ConfigError
from banyan.serving import keys as module
from banyan.serving.keys import Keys


def test_a_key_is_known_until_it_is_revoked_and_only_its_hash_is_kept(tmp_path: Path) -> None:
    kept = Keys(tmp_path / "keys.json", {})
    key, secret = kept.add("shop", ["answers", "events"])
    assert kept.who(secret) == key
    text = (tmp_path / "keys.json").read_text()
    assert secret not in text
    assert secret.split("_")[2] not in text
    assert hashlib.sha256(secret.split("_", 2)[2].encode()).hexdigest() in text
    assert stat.S_IMODE((tmp_path / "keys.json").stat().st_mode) == 0o600
    kept.revoke(key.id)
    assert kept.who(secret) is None


def test_another_process_learns_of_a_key_and_of_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK", 0.0)
    worker, shell = Keys(tmp_path / "keys.json", {}), Keys(tmp_path / "keys.json", {})
    key, secret = shell.add("late", ["events"])
    found = worker.who(secret)
    assert found is not None
    assert found.roles == ("events",)
    shell.revoke(key.id)
    assert worker.who(secret) is None


def test_a_secret_under_another_id_is_no_key(tmp_path: Path) -> None:
    kept = Keys(tmp_path / "keys.json", {})
    (a, first), (b, _) = kept.add("a", ["answers"]), kept.add("b", ["admin"])
    assert kept.who(f"banyan_{b.id}_{first.split('_', 2)[2]}") is None
    for wrong in ("", "banyan_", f"banyan_{a.id}_", first + "x", " " + first, first.replace("banyan", "Banyan"), "banyan_" + "0" * 12 + "_" + "A" * 43):
        assert kept.who(wrong) is None


def test_both_an_unknown_id_and_a_wrong_secret_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Keys(tmp_path / "keys.json", {})
    key, _ = kept.add("a", ["answers"])
    seen = []
    monkeypatch.setattr(module.hmac, "compare_digest", lambda a, b: seen.append((len(a), len(b))) or a == b)
    for presented in (f"banyan_{key.id}_{'A' * 43}", f"banyan_{'f' * 12}_{'A' * 43}", "nonsense"):
        assert kept.who(presented) is None
    assert seen == [(64, 64)] * 3


def test_keys_may_stand_in_the_environment(tmp_path: Path) -> None:
    file = Keys(tmp_path / "keys.json", {})
    key, secret = file.add("env", ["admin"])
    fixed = Keys(None, {"BANYAN_KEYS": (tmp_path / "keys.json").read_text()})
    assert fixed.who(secret) == key
    with pytest.raises(ConfigError, match="take it out there"):
        fixed.revoke(key.id)
    with pytest.raises(ConfigError, match="--state"):
        fixed.add("x", ["admin"])


@pytest.mark.parametrize("text", ["{", "[1]", '[{"id": "a"}]', '[{"id": "a", "name": "b", "roles": ["king"], "sha256": "00", "added": ""}]', "3"])
def test_a_file_that_holds_no_keys_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "keys.json").write_text(text)
    with pytest.raises(ConfigError, match=r"keys\.json"):
        Keys(tmp_path / "keys.json", {})


@pytest.mark.parametrize(("name", "roles"), [("", ["admin"]), ("../x", ["admin"]), ("a", ["king"]), ("a", []), ("x" * 65, ["admin"])])
def test_a_key_that_cannot_be_is_refused(tmp_path: Path, name: str, roles: list[str]) -> None:
    with pytest.raises(ConfigError):
        Keys(tmp_path / "keys.json", {}).add(name, roles)


def test_the_command_prints_the_key_alone_and_lists_no_secret(tmp_path: Path) -> None:
    def said(*words: str) -> Any:
        return CliRunner().invoke(app, ["keys", *words, "--state", str(tmp_path)])

    made = said("add", "shop", "--role", "answers")
    assert made.exit_code == 0, made.output
    secret = made.stdout.strip()
    assert Keys(tmp_path / "keys.json", {}).who(secret) is not None
    shown = said("list").stdout
    assert "shop" in shown
    assert secret not in shown
    identity = json.loads((tmp_path / "keys.json").read_text())["keys"][0]["id"]
    assert said("revoke", identity).exit_code == 0
    assert said("revoke", identity).exit_code == 2
    assert Keys(tmp_path / "keys.json", {}).who(secret) is None
