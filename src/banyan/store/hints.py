"""The end of a message about a wrong word: what was probably meant, and what is known."""

import difflib
from collections.abc import Iterable


def hint(word: str, known: Iterable[str]) -> str:
    """` Did you mean 'x'? Known: x, y.`, with the parts that apply."""
    words = [str(each) for each in known]
    lowered = {each.lower(): each for each in words}
    near = difflib.get_close_matches(word.lower(), list(lowered), n=1, cutoff=0.55)
    guess = f" Did you mean {lowered[near[0]]!r}?" if near else ""
    shown = ", ".join(words[:30]) + (", ..." if len(words) > 30 else "")
    return f"{guess} Known: {shown}." if words else f"{guess} There are none."
