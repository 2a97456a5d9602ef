"""A MODEL -> ANOTHER STORE: what a bundle learned moves to a new store's network, wherever both speak of the same thing.

The contract. A number of the new network starts as the bundle's when all of these are the same; else it starts as training would start it.

1. Its module: the same place in the network, built by the same part. Heads: the same task, of the same kind. What a view owns: the same task and stage.
2. Along each axis, what the place stands for: a token (slot, feature and kind), a number, a pair feature, a class, a stage, a scenario. So a layer moves
   column by column, and a feature that only one of the two stores has costs nothing else. An axis that stands for nothing (hidden units) has one length.
3. A feature of one store is a feature of the other when slot and kind agree, and the name, or else half of its values (`alike`). `share` overrules.
4. Embeddings: row by row, by value. Values that only the bundle knows stay known, so that they are no strangers among the new store's test rows.
   A new value begins at the row of the never-seen, which the bundle learned to answer for, with the noise that training starts from.
5. Own ids (`item.id`, `user.id`) count as the same things only where what is said of them agrees: two shops number from 1, both of them.
6. A number keeps the bundle's scale and bins where the new store's values lie inside what the bundle saw; else it has its own scale, and new bins.
7. Nothing is silent: each part says how much moved, what is new, what was left behind and why. `model.width` must agree, or nothing could move.
"""

from banyan.graft.origin import Origin

__all__ = ["Origin"]
