"""What a word that no item holds was meant to be: the commonest known word that is few strokes away. Knows neither items nor queries.

A stroke is a letter too many, too few, another one, or two neighbours in the wrong order (Damerau, 1964). Candidates share pairs of letters with the word.
"""

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
from rapidfuzz.distance import OSA

from banyan.features import tokens
from banyan.types import Array

SHORTEST, LONG = 4, 8  # letters: shorter words are left alone; from LONG on two strokes are mended
LONGEST = 40
RUN = 3  # characters of Chinese that are mended together at least, and one more at most
LOOKED = 64  # candidates whose distance is taken
STROKE = 3.0  # what a stroke counts against a word that is e^3 times as common
BUCKETS = 1 << 15  # of pairs of letters
MOST_ASKED = 20  # a word that people ask for, and no item has, is mended only for one so many times as common


class Speller:
    """Known words by their pairs of letters; about 4 bytes a letter beside the words themselves."""

    def __init__(self, words: Sequence[str], counts: Array) -> None:
        """Words in lower case; (words, 2) how often items' texts and queries hold each."""
        kept = [i for i, word in enumerate(words) if RUN <= len(word) <= LONGEST]
        self.words, self.counts = [words[i] for i in kept], counts[kept]
        self.place = {word: i for i, word in enumerate(self.words)}
        self.length = np.array([len(word) for word in self.words], np.int16)
        self.han = np.array([tokens.han(word[0]) for word in self.words], bool)
        pairs, owner = _pairs(self.words)
        order = np.argsort(pairs, kind="stable")
        self.owner = owner[order]
        self.start = np.searchsorted(pairs[order], np.arange(BUCKETS + 1))
        self.order = sorted(range(len(self.words)), key=self.words.__getitem__)

    def meant(self, word: str) -> str:
        """The word that was meant; "" where the word is left as it is: it is short, has a digit, or nothing is near."""
        if not SHORTEST <= len(word) <= LONGEST or any(letter.isdigit() for letter in word):
            return ""
        asked = int(self.counts[self.place[word], 1]) if word in self.place else 0
        near = self._near(word, 1 + (len(word) >= LONG), han=False)
        best = max(near, key=lambda found: (self._worth(word, *found), -found[0]), default=None)
        if best is None or int(self.counts[best[0]].sum()) < MOST_ASKED * asked:
            return self._parted(word)
        return self.words[best[0]]

    def _worth(self, word: str, place: int, strokes: int) -> float:
        return float(np.log1p(self.counts[place].sum())) - STROKE * strokes + (self.words[place][0] == word[0])

    def _near(self, word: str, most: int, *, han: bool) -> list[tuple[int, int]]:
        """(place, strokes) of words of items within `most` strokes."""
        spans = [self.owner[self.start[pair] : self.start[pair + 1]] for pair in np.unique(_pairs([word])[0]).tolist()]
        shared = np.bincount(np.concatenate([np.zeros(0, np.int32), *spans]), minlength=len(self.words))
        fits = (np.abs(self.length - len(word)) <= most) & (self.han == han) & (self.counts[:, 0] > 0) & (shared > 0)
        there = np.flatnonzero(fits)
        if len(there) > LOOKED:
            rank = shared[there] + np.log1p(self.counts[there].sum(1)) / 20
            there = there[np.argpartition(-rank, LOOKED)[:LOOKED]]
        found = [(place, OSA.distance(word, self.words[place], score_cutoff=most)) for place in there.tolist()]
        return [(place, strokes) for place, strokes in found if 0 < strokes <= most]

    def _parted(self, word: str) -> str:
        """Two known words that were written as one; "" where there are none."""
        found = [(0, "")]
        for at in range(RUN, len(word) - RUN + 1):
            left, right = self.place.get(word[:at]), self.place.get(word[at:])
            if left is not None and right is not None:
                found.append((int(min(self.counts[left, 0], self.counts[right, 0])), f"{word[:at]} {word[at:]}"))
        often, parts = max(found)
        return parts if often else ""

    def meant_run(self, run: str, unknown: Sequence[bool]) -> str:
        """The run of Chinese or Japanese characters that was meant; "" mostly. `unknown`: of each character, whether no item has it.

        Any two characters may make a word that the shop lacks, so only two slips are mended: one character that no item has at all, where one known run
        has another one in its place; and two neighbours in the wrong order.
        """
        if not RUN <= len(run) <= RUN + 1 or sum(unknown) > 1:
            return ""
        near = [place for place, strokes in self._near(run, 1, han=True) if self.length[place] == len(run) and strokes == 1]
        if any(unknown):
            at = list(unknown).index(True)
            near = [place for place in near if _without(self.words[place], at) == _without(run, at)]
        else:
            near = [place for place in near if sorted(self.words[place]) == sorted(run)]
        return self.words[near[0]] if len(near) == 1 else ""

    def beginning(self, half: str, most: int) -> list[str]:
        """The commonest words of items that begin with a half-typed one."""
        low = bisect_left(self.order, half, key=self.words.__getitem__)
        found = []
        for place in self.order[low : low + 50 * most]:
            if not self.words[place].startswith(half):
                break
            if self.counts[place, 0]:
                found.append((-int(self.counts[place].sum()), self.words[place]))
        return [word for _, word in sorted(found)[:most]]


def _without(word: str, at: int) -> str:
    return word[:at] + word[at + 1 :]


def _pairs(words: Sequence[str]) -> tuple[Array, Array]:
    """(Buckets of the pairs of neighbouring letters of all words, their ends among them; int32 which word each is of)."""
    codes = np.frombuffer(f" {' '.join(words)} ".encode("utf-32-le", "replace"), np.uint32).astype(np.int64)
    owner = np.repeat(np.arange(len(words), dtype=np.int32), [len(word) + 1 for word in words])
    return ((codes[:-1] * 7919 + codes[1:]) % BUCKETS)[: len(owner)], owner
