"""BUNDLE + EVENTS -> A SERVICE THAT ANSWERS. What knows HTTP is `api` with its siblings; the engine, the state and the registry know none.

- `messages`: what travels over the wire. `api`, `routes_*`: the HTTP service. `keys`, `limits`: who may ask, and how much.
- `settings`: what the processes agree on. `registry`: versions of bundles, and which answers; `trial`: a bundle is tried before it serves; `live`: the models
  of a worker; `shadow`: a second model, unseen.
- `experiments`: what came of a split; `sequential`: intervals that may be looked at any time; `feedback`: exploration and off-policy estimates; `gathering`:
  notes on their way to the journal.
- `freshness`: trained again on what happened, and promoted when not worse; `harvest`: the tables for it; `drift`: whether inputs and calibration moved.
"""
