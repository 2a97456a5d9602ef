"""A file is whole or not there."""

from pathlib import Path

import pytest

from banyan import disk


def test_a_file_takes_its_place_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "answers.csv"
    with disk.whole(path) as aside:
        aside.write_text("a,b\n", encoding="utf-8")
        assert not path.exists()
    assert path.read_text(encoding="utf-8") == "a,b\n"
    assert [each.name for each in path.parent.iterdir()] == ["answers.csv"]


def test_a_writing_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    path.write_text("old", encoding="utf-8")

    def fail() -> None:
        with disk.whole(path) as aside:
            aside.write_text("ne", encoding="utf-8")
            raise ValueError("midway")

    with pytest.raises(ValueError, match="midway"):
        fail()
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_on_disk_before_it_takes_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, synced = tmp_path / "answers.csv", []
    monkeypatch.setattr(disk, "sync", lambda each: synced.append((each, path.exists())))
    with disk.whole(path) as aside:
        aside.write_text("new", encoding="utf-8")
    assert synced == [(disk.aside_of(path), False), (tmp_path, True)]


def test_the_hash_is_sha256(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert disk.sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, appendix B.1
