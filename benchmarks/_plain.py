"""A service as one writes it in an afternoon: FastAPI, pydantic, an MMoE in eager PyTorch; 500 candidates drawn at random, no history, no journal.

python -m benchmarks._plain '{"flat": 256, "width": 16, "views": 2, "items": 1000, "users": 1000, "experts": 8, "layers": [256, 128], "tower": 32}' --port 8001
"""

import argparse
import json
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

CANDIDATES = 500


class Plain(nn.Module):
    """Ids and features looked up and laid side by side, experts one after the other, a gate and a tower for each task."""

    def __init__(self, flat: int, width: int, views: int, items: int, users: int, experts: int, layers: list[int], tower: int) -> None:
        super().__init__()
        self.tokens = flat // width
        self.user, self.item = nn.Embedding(users + 1, width), nn.Embedding(items + 1, width)
        self.rest = nn.Embedding(1000, width)
        self.experts = nn.ModuleList(_layers([self.tokens * width, *layers]) for _ in range(experts))
        self.gates = nn.ModuleList(nn.Linear(self.tokens * width, experts) for _ in range(views))
        self.towers = nn.ModuleList(nn.Sequential(nn.Linear(layers[-1], tower), nn.ReLU(), nn.Linear(tower, 1)) for _ in range(views))

    def forward(self, user: Tensor, item: Tensor, rest: Tensor) -> Tensor:
        x = torch.cat([self.user(user), self.item(item), self.rest(rest).flatten(1)], 1)
        experts = torch.stack([expert(x) for expert in self.experts], 1)
        found = []
        for gate, tower in zip(self.gates, self.towers, strict=True):
            found.append(torch.sigmoid(tower((gate(x).softmax(-1).unsqueeze(-1) * experts).sum(1))))
        return torch.cat(found, 1)


def _layers(sizes: list[int]) -> nn.Sequential:
    return nn.Sequential(*(each for a, b in pairwise(sizes) for each in (nn.Linear(a, b), nn.ReLU())))


def app(size: dict[str, Any]) -> Any:
    from fastapi import FastAPI
    from pydantic import BaseModel

    network = Plain(**size).eval()
    service = FastAPI()

    class Ask(BaseModel):
        user: str
        k: int = 20

    class One(BaseModel):
        item: str
        score: float
        answers: dict[str, float]

    class Answer(BaseModel):
        items: list[One]

    @service.post("/v1/recommend")
    def recommend(ask: Ask) -> Answer:
        user = hash(ask.user) % size["users"] + 1
        items = torch.randint(1, size["items"] + 1, (CANDIDATES,))
        with torch.no_grad():
            found = network(torch.full((CANDIDATES,), user), items, torch.randint(0, 1000, (CANDIDATES, network.tokens - 2)))
        score = found.sum(1)
        best = score.topk(min(ask.k, CANDIDATES)).indices.tolist()
        return Answer(
            items=[One(item=str(int(items[i])), score=float(score[i]), answers={f"t{t}": float(found[i, t]) for t in range(found.shape[1])}) for i in best]
        )

    return service


def main() -> None:
    import uvicorn

    parser = argparse.ArgumentParser()
    parser.add_argument("size")
    parser.add_argument("--port", type=int, default=8001)
    options = parser.parse_args()
    torch.set_num_threads(1)
    uvicorn.run(app(json.loads(options.size)), host="127.0.0.1", port=options.port, log_level="warning")


if __name__ == "__main__":
    main()
