"""Routes that show the store: what it is made of, its items one by one and a page at a time."""

from typing import Annotated

from litestar import Router, get, post
from litestar.params import FromPath, FromQuery, QueryParameter

from banyan.bundle import Bundle
from banyan.serving.catalogue import ORDERS, Catalogue
from banyan.serving.messages import BrowseAnswer, FeatureOut, ItemAnswer, ItemOut, ItemsBody, ItemsFound, StoreAnswer, TaskOut
from banyan.serving.reading import SMALL, Asking, Role, answered, plain, read
from banyan.serving.refusals import Refusal
from banyan.serving.service import Service

WHERE = 16  # conditions of a page

_QUERY = [
    {"name": "where", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}, "description": "feature:value, such as category:shoes"},
    {"name": "order", "in": "query", "schema": {"type": "string", "enum": list(ORDERS)}},
    {"name": "count", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}},
    {"name": "cursor", "in": "query", "schema": {"type": "string"}, "description": "`next` of the page before"},
    {"name": "facets", "in": "query", "schema": {"type": "boolean"}},
]


@get("/store", summary="What the store is made of", guards=[Role("answers")], opt={"answer": StoreAnswer})
async def store(request: Asking) -> StoreAnswer:
    """Entities with their features, behaviours, scenarios, tasks with their metrics, tables with their columns."""
    service: Service = request.app.state.service
    found, made = await service.look(described)
    return answered(request, found, made.version, made.value_version)


@get("/items/{item:str}", summary="One item", guards=[Role("answers")], opt={"answer": ItemAnswer})
async def one(request: Asking, item: FromPath[str]) -> ItemAnswer:
    """An item's features."""
    service: Service = request.app.state.service
    item = plain(item, "item")
    (features, events), made = await service.look(lambda bundle, catalogue: (catalogue.item(item), catalogue.popularity(item)))
    if features is None:
        raise Refusal(404, f"There is no item {item!r}.", details={"item": item})
    return answered(request, ItemAnswer(item=item, features=features, popularity={"events": float(events)}), made.version, made.value_version)


@post(
    "/items",
    summary="Several items",
    guards=[Role("answers")],
    request_max_body_size=4 * SMALL,
    status_code=200,
    opt={"body": ItemsBody, "answer": ItemsFound},
)
async def several(request: Asking) -> ItemsFound:
    """The features of up to 1,000 items, in the order asked; those that are not known are named."""
    body = await read(request, ItemsBody)
    service: Service = request.app.state.service
    wanted = list(dict.fromkeys(body.items))
    features, made = await service.look(lambda bundle, catalogue: catalogue.items(wanted))
    answer = ItemsFound(
        items=[ItemOut(item=item, features=each) for item, each in zip(wanted, features, strict=True) if each is not None],
        unknown=[item for item, each in zip(wanted, features, strict=True) if each is None],
    )
    return answered(request, answer, made.version, made.value_version)


@get("/items", summary="Browse the items", guards=[Role("answers")], opt={"answer": BrowseAnswer, "query": _QUERY, "refuses": (422,)})
async def browse(
    request: Asking,
    where: FromQuery[list[str] | None] = None,
    order: FromQuery[str] = "popular",
    count: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
    cursor: FromQuery[str] = "",
    facets: FromQuery[bool] = False,
) -> BrowseAnswer:
    """Items of these features, a page at a time, most popular first."""
    service: Service = request.app.state.service
    wanted, start = conditions(where or []), beginning(cursor)
    page, made = await service.look(lambda bundle, catalogue: catalogue.page(wanted, start, count, order, facets))
    answer = BrowseAnswer(
        items=[ItemOut(item=item, features=features) for item, features in page.items],
        total=page.total,
        next=None if page.next is None else str(page.next),
        facets=page.facets,
    )
    return answered(request, answer, made.version, made.value_version)


def conditions(told: list[str]) -> dict[str, list[str]]:
    """Feature -> the values that will do. Raises Refusal (422)."""
    if len(told) > WHERE or any(len(each) > 400 for each in told):
        raise Refusal(422, f"A page has at most {WHERE} conditions, each of at most 400 signs.", details={"at": "where"})
    found: dict[str, list[str]] = {}
    for each in told:
        name, colon, value = each.partition(":")
        if not colon:
            raise Refusal(422, f"A condition reads feature:value; found {each!r}.", details={"at": "where"})
        found.setdefault(name, []).append(value)
    return found


def beginning(cursor: str) -> int:
    """Where a page begins. Raises Refusal (422)."""
    if cursor and not (cursor.isascii() and cursor.isdigit() and len(cursor) < 12):
        raise Refusal(422, "The cursor is what `next` of the page before said.", details={"at": "cursor"})
    return int(cursor or 0)


def described(bundle: Bundle, catalogue: Catalogue) -> StoreAnswer:
    """The store in the wire's words."""
    plan, spec = bundle.plan, bundle.store
    entities = {name: {key: FeatureOut(kind=feature.kind) for key, feature in entity.features.items()} for name, entity in spec.entities.items()}
    for key, feature in entities.get("item", {}).items():
        feature.values = catalogue.values(key)
        if (span := catalogue.span(key)) is not None:
            feature.least, feature.most = span
    for name in catalogue.frame.columns:
        if name != "item":
            entities.setdefault("item", {}).setdefault(name, FeatureOut(kind="shown", values=catalogue.values(name)))
    metrics = bundle.facts.get("metrics") or {}
    tasks = {
        name: TaskOut(
            kind=spec.tasks[name].kind, samples=spec.tasks[name].samples, columns=list(bundle.network.task(name).columns()), metrics=metrics.get(name) or {}
        )
        for name in bundle.served
    }
    return StoreAnswer(
        store=spec.store,
        entities=entities,
        rows={name: len(ids) for name, ids in bundle.stock.ids.items()},
        behaviours=list(plan.behaviours),
        scenarios=[name for name in plan.scenarios if name],
        tasks=tasks,
        tables={name: bundle.expects(name) for name, table in plan.tables.items() if not table.ranking},
        clock=plan.clock,
    )


ROUTES = Router("/v1", route_handlers=[store, one, several, browse], tags=["store"])
