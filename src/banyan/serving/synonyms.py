"""A shop's own file of words that mean the same: a group a line, its words parted by commas. What follows a # is a remark."""

from pathlib import Path

from banyan.errors import DataError
from banyan.features import tokens

MOST_BYTES = 4_000_000
MOST_WORDS, LETTERS = 50, 60  # of a line


def groups(path: Path) -> tuple[tuple[str, ...], ...]:
    """The groups of the file, in order. Raises DataError that names the line."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise DataError(f"{path} has {path.stat().st_size:,} bytes; synonyms have at most {MOST_BYTES:,}.")
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as text in UTF-8 ({error}).") from error
    return tuple(found for number, line in enumerate(lines, 1) if (found := _group(line.partition("#")[0], f"{path}, line {number}")))


def _group(line: str, where: str) -> tuple[str, ...]:
    words = tuple(dict.fromkeys(word for each in line.split(",") if (word := each.strip())))
    if not words:
        return ()
    if len(words) == 1 or len(words) > MOST_WORDS:
        raise DataError(f"{where} has {len(words)} words; a line names 2 to {MOST_WORDS} that mean the same, such as `sofa, couch`.")
    for word in words:
        if len(word) > LETTERS or not tokens.pieces(word):
            raise DataError(f"{where}: {word[:LETTERS]!r} is no word or two of at most {LETTERS} letters.")
    return words
