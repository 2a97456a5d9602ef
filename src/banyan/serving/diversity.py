"""Lists whose items differ: maximal marginal relevance on item vectors."""

import numpy as np

from banyan.types import Array


def spread(scores: Array, vectors: Array, k: int, diversity: float) -> Array:
    """(k,) places of the items chosen, in order, from (n,) scores, best first, and (n, H) vectors.

    Each next item has the largest (1 - diversity) * score - diversity * its largest cosine with those chosen (Carbonell and Goldstein, SIGIR 1998);
    scores are stretched to [0, 1] over the n items. 0 leaves the order as it is. A vector of zeros is like nothing.
    """
    k = min(k, len(scores))
    if not diversity or k < 2:
        return np.arange(k)
    low, high = float(scores.min()), float(scores.max())
    worth = (1 - diversity) * (scores - low) / (high - low if high > low else 1.0)
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    near = np.full(len(scores), -1.0)  # the largest cosine with what was chosen
    left = np.ones(len(scores), bool)
    chosen = np.zeros(k, np.int64)
    for place in range(k):
        worthy = np.where(left, worth - diversity * near if place else scores, -np.inf)
        chosen[place] = int(worthy.argmax())
        left[chosen[place]] = False
        near = np.maximum(near, unit @ unit[chosen[place]])
    return chosen
