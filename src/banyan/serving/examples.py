"""One example of every request, as plain JSON values: what the pages of the interface show, and what its tests send. Knows no HTTP."""

from typing import Any

import msgspec

from banyan.serving import messages

_ASK: dict[str, Any] = {
    "user": "u-17",
    "scenario": "home",
    "k": 10,
    "filters": {"equal": {"category": ["shoes"]}, "most": {"price": 80}, "leave_out": ["purchase"]},
}

EXAMPLES: dict[type[msgspec.Struct], dict[str, Any]] = {
    messages.EventsBody: {
        "events": [
            {"id": "e-1", "user": "u-17", "item": "i-4", "behaviour": "view", "time": "2026-03-01T10:00:00Z", "scenario": "home", "session": "s-9"},
            {"id": "e-2", "user": "u-17", "item": "i-4", "behaviour": "purchase", "value": 19.9},
        ]
    },
    messages.RecommendBody: _ASK,
    messages.SearchBody: {"user": "u-17", "query": "red running shoes", "k": 10},
    messages.RankBody: {"user": "u-17", "items": ["i-4", "i-8", "i-15"], "k": 3, "explain": True},
    messages.SimilarBody: {"item": "i-4", "k": 5, "by": "together"},
    messages.ItemsBody: {"items": ["i-4", "i-8"]},
    messages.PredictBody: {"table": "viewed", "rows": [{"user_id": "u-17", "item_id": "i-4", "page": "home"}], "tasks": ["bought"]},
    messages.ForecastBody: {"table": "weekly", "rows": [{"item_category": "shoes", "lag_1": 31, "lag_2": 27, "mean_4": 28.5}]},
    messages.OffersBody: {"table": "campaigns", "rows": [{"user_id": "u-17", "discount": 0.1}, {"user_id": "u-18", "discount": 0.1}], "k": 1},
    messages.ExplainBody: {"user": "u-17", "item": "i-4", "scenario": "home"},
    messages.ValueBody: {"expression": "0.4 * bought.cart + bought.buy * item.margin", "expected": 3},
    messages.PreviewBody: {"expression": "bought.buy", "scenario": "home", "users": ["u-17"], "k": 5, "outcome": "purchase"},
    messages.AddModelBody: {"folder": "2026-03-01", "note": "trained on February"},
    messages.ExperimentBody: {"name": "march", "version": "v7", "share": 0.2, "outcome": "purchase"},
    messages.ExplorationBody: {"share": 0.02, "slot": 2, "top": 10},
    messages.LimitsBody: {"limits": {"answers": {"per_second": 200, "burst": 400}}},
}
