"""The interface described in OpenAPI 3.1, read from the routes themselves, and as a page that asks no other host for anything."""

import html
import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler

from banyan import __version__
from banyan.serving import messages
from banyan.serving.examples import EXAMPLES
from banyan.serving.reading import Role
from banyan.serving.refusals import CODES

HIDDEN = {"OPTIONS", "HEAD"}
REF = "#/components/schemas/{name}"
ALWAYS = (500, 503)
GUARDED = (401, 403, 429)
BODIED = (400, 408, 413, 415, 422)


def describe(app: Litestar) -> dict[str, Any]:
    """The document, made once an application."""
    found = getattr(app.state, "openapi", None)
    if found is None:
        found = app.state.openapi = _described(app)
    return dict(found)


def handlers(app: Litestar) -> Iterator[tuple[str, str, HTTPRouteHandler]]:
    """(Path with its parameters in braces, method, handler) of every route that is described."""
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            if isinstance(handler, HTTPRouteHandler) and handler.summary:
                for method in sorted(set(handler.http_methods) - HIDDEN):
                    yield re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path), str(method), handler


def _described(app: Litestar) -> dict[str, Any]:
    routes = sorted(handlers(app), key=lambda each: (each[0], each[1]))
    kinds = {messages.Problem, *(each for _, _, handler in routes for key in ("body", "answer") if (each := handler.opt.get(key)) is not None)}
    _, schemas = msgspec.json.schema_components(sorted(kinds, key=lambda each: each.__name__), ref_template=REF)
    paths: dict[str, dict[str, Any]] = {}
    for path, method, handler in routes:
        paths.setdefault(path, {})[method.lower()] = _operation(path, method, handler)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Banyan",
            "version": __version__,
            "description": "Every answer carries `request_id`, the version of the model and that of the value model. Every error has one shape, `Problem`.",
        },
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
    }


def _operation(path: str, method: str, handler: HTTPRouteHandler) -> dict[str, Any]:
    body, answer, needs = handler.opt.get("body"), handler.opt.get("answer"), _role(handler)
    codes = [*ALWAYS, *(GUARDED if needs else ()), *(BODIED if body else ()), *((404, 422) if "{" in path else ()), *handler.opt.get("refuses", ())]
    fine: dict[str, Any] = {"description": "Done."}
    if answer is not None:
        fine["content"] = {"application/json": {"schema": _ref(answer)}}
    found: dict[str, Any] = {
        "operationId": handler.handler_name,
        "summary": handler.summary,
        "description": handler.description or (handler.fn.__doc__ or ""),
        "tags": sorted(handler.resolve_tags() if hasattr(handler, "resolve_tags") else handler.tags or []),
        "responses": {"200": fine} | {str(code): _problem(code) for code in sorted(set(codes))},
    }
    if needs:
        found["security"] = [{"key": []}]
        found["x-role"] = needs
    if parameters := [*_placed(path), *handler.opt.get("query", ())]:
        found["parameters"] = parameters
    if body is not None:
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": _ref(body), "example": EXAMPLES[body]}}}
    return found


def _role(handler: HTTPRouteHandler) -> str | None:
    return next((guard.name for guard in handler.guards or () if isinstance(guard, Role)), None)


def _placed(path: str) -> list[dict[str, Any]]:
    kind = {"type": "string", "minLength": 1, "maxLength": 200}
    return [{"name": name, "in": "path", "required": True, "schema": kind} for name in re.findall(r"\{(\w+)\}", path)]


def _ref(kind: type[msgspec.Struct]) -> dict[str, str]:
    return {"$ref": REF.format(name=kind.__name__)}


def _problem(code: int) -> dict[str, Any]:
    return {"description": CODES[code].replace("_", " "), "content": {"application/json": {"schema": _ref(messages.Problem)}}}


STYLE = """
:root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
summary{cursor:pointer;padding:.4rem 0}summary:focus-visible{outline:2px solid}code,pre{font:13px/1.45 ui-monospace,monospace}
pre{background:color-mix(in srgb,currentColor 7%,transparent);padding:.7rem;overflow:auto;border-radius:6px}
details{border-bottom:1px solid color-mix(in srgb,currentColor 18%,transparent)}b{display:inline-block;min-width:4.5rem}
table{border-collapse:collapse}td,th{text-align:left;padding:.15rem .8rem .15rem 0;vertical-align:top}
"""


def page(document: dict[str, Any]) -> str:
    """The document as one page of HTML without scripts; all texts are escaped."""
    schemas = document["components"]["schemas"]
    parts = [_shown(path, method, about, schemas) for path, methods in document["paths"].items() for method, about in methods.items()]
    title = html.escape(f"{document['info']['title']} {document['info']['version']}")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>{title}</title>'
        f"<style>{STYLE}</style></head><body><main><h1>{title}</h1><p>{_text(document['info']['description'])} "
        f'The same as <a href="/v1/openapi.json">OpenAPI 3.1</a>. Send your key as <code>Authorization: Bearer banyan_...</code>.</p>'
        f"{''.join(parts)}</main></body></html>"
    )


def _shown(path: str, method: str, about: dict[str, Any], schemas: dict[str, Any]) -> str:
    lines = [
        f"<details><summary><b>{method.upper()}</b><code>{html.escape(path)}</code> {_text(about['summary'])}</summary><p>{_text(about['description'])}</p>"
    ]
    if role := about.get("x-role"):
        lines.append(f"<p>Role: <code>{html.escape(role)}</code></p>")
    if parameters := about.get("parameters"):
        rows = "".join(f"<tr><td><code>{html.escape(p['name'])}</code></td><td>{p['in']}</td><td>{_kind(p['schema'])}</td></tr>" for p in parameters)
        lines.append(f"<table>{rows}</table>")
    if body := about.get("requestBody"):
        content = body["content"]["application/json"]
        lines += [
            "<h4>Request</h4>",
            _fields(content["schema"], schemas),
            f"<pre>{html.escape(json.dumps(content['example'], indent=1, ensure_ascii=False))}</pre>",
        ]
    if answer := about["responses"]["200"].get("content"):
        lines += ["<h4>Answer</h4>", _fields(answer["application/json"]["schema"], schemas)]
    refused = ", ".join(f"{code} {_text(each['description'])}" for code, each in about["responses"].items() if code != "200")
    return "".join([*lines, f"<p>Refusals: {refused}</p></details>"])


def _fields(schema: dict[str, Any], schemas: dict[str, Any]) -> str:
    known = schemas[schema["$ref"].rsplit("/", 1)[-1]]
    needed = known.get("required", [])
    rows = (
        f"<tr><td><code>{html.escape(name)}</code></td><td>{_kind(each)}</td><td>{'needed' if name in needed else ''}</td></tr>"
        for name, each in known["properties"].items()
    )
    return f"<p>{_text(known.get('description', ''))}</p><table>{''.join(rows)}</table>"


def _kind(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"])
    if "$ref" in schema:
        return html.escape(schema["$ref"].rsplit("/", 1)[-1])
    if "enum" in schema:
        return html.escape(" | ".join(map(str, schema["enum"])))
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    return html.escape(str(schema.get("type", "any")))


def _text(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))
