"""An operation's inputs and credentials as the backend reads them from its socket."""

import json
from pathlib import Path
from typing import Any

from tests.end_to_end.backend import backend
from tests.end_to_end.instance import document, instance, until

OK = {"200": {"description": "ok"}}


def _in(place: str, *names: str, kind: str = "string") -> list[dict[str, Any]]:
    return [
        {"name": name, "in": place, "required": place == "path", "schema": {"type": kind}} for name in names
    ]


def _body(media: str) -> dict[str, Any]:
    return {"requestBody": {"content": {media: {"schema": {"type": "object"}}}}}


def _secured(*schemes: str) -> dict[str, Any]:
    security = [{scheme: [] for scheme in schemes}]
    return {"get": {"operationId": "-".join(schemes), "security": security, "responses": OK}}


SPEC: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "wire", "version": "1"},
    "servers": [
        {
            "url": "http://{host}:{port}/{base}",
            "variables": {"host": {"default": "nowhere.example"}, "port": {"default": "1"}, "base": {"default": "v1"}},
        }
    ],
    "paths": {
        "/styles/{one}/{list}/{map}": {
            "get": {
                "operationId": "all.styles",
                "parameters": [
                    *_in("path", "one"), *_in("path", "list", kind="array"), *_in("path", "map", kind="object"),
                    *_in("query", "q"), *_in("query", "qs", kind="array"), *_in("query", "qm", kind="object"),
                    *_in("header", "X-List", kind="array"), *_in("header", "X-Map", kind="object"),
                    *_in("cookie", "crumb"),
                ],
                "responses": OK,
            }
        },
        "/form": {"post": {"operationId": "form", "responses": OK, **_body("application/x-www-form-urlencoded")}},
        "/named": {"post": {"operationId": "named", "parameters": _in("query", "body"), "responses": OK, **_body("application/json")}},
        "/same/{id}": {
            "put": {
                "operationId": "same",
                "parameters": [*_in("path", "id"), *_in("query", "id"), *_in("header", "id")],
                "responses": OK,
            }
        },
        "/referred": {"$ref": "#/components/pathItems/shared"},
        **{f"/{'-'.join(schemes)}": _secured(*schemes) for schemes in (("inQuery",), ("inHeader",), ("inCookie",), ("user",), ("token",), ("inQuery", "token"))},
    },
    "components": {
        "pathItems": {"shared": {"get": {"operationId": "referred", "responses": OK}}},
        "securitySchemes": {
            "inQuery": {"type": "apiKey", "in": "query", "name": "k"},
            "inHeader": {"type": "apiKey", "in": "header", "name": "X-K"},
            "inCookie": {"type": "apiKey", "in": "cookie", "name": "kc"},
            "user": {"type": "http", "scheme": "basic"},
            "token": {"type": "http", "scheme": "bearer"},
        },
    },
}  # fmt: skip
KEY = {"api_key": {"env": "WIRE_KEY"}}
LOGIN = {
    "schemes": {
        "inQuery": KEY,
        "inHeader": KEY,
        "inCookie": KEY,
        "token": {"bearer": {"env": "WIRE_KEY"}},
        "user": {"basic": {"username": "u", "password": {"env": "WIRE_KEY"}}},
    }
}
DATA = {
    "text": "a/b ü?#%2F&c=d+",
    "list": ["x", "y,z"],
    "map": {"k": "v", "l": "m"},
    "big": 12345678901234567890,
}
STYLES = {
    "one": "${data.text}", "list": "${data.list}", "map": "${data.map}",
    "q": "${data.text}", "qs": "${data.list}", "qm": "${data.map}",
    "X-List": "${data.list}", "X-Map": "${data.map}", "crumb": "c1",
}  # fmt: skip
WITH: dict[str, dict[str, Any]] = {
    "all.styles": STYLES,
    "form": {"body": {"t": "${data.text}", "l": "${data.list}", "m": "${data.map}", "n": "${data.big}"}},
    "named": {"query": {"body": "q"}, "body": {"n": "${data.big}"}},
    "same": {"path": {"id": "1"}, "query": {"id": "2"}, "header": {"id": "3"}},
    "referred": {},
    **{name: {} for name in ("inQuery", "inHeader", "inCookie", "user", "token", "inQuery-token")},
}
TARGETS = {
    "all.styles": "/v1/styles/a%2Fb%20%C3%BC%3F%23%252F%26c%3Dd%2B/x,y%2Cz/k,v,l,m"
    "?q=a%2Fb%20%C3%BC%3F%23%252F%26c%3Dd%2B&qs=x&qs=y%2Cz&k=v&l=m",
    "form": "/v1/form",
    "named": "/v1/named?body=q",
    "same": "/v1/same/1?id=2",
    "referred": "/v1/referred",
    "inQuery": "/v1/inQuery?k=k%26y%2B1",
    "inHeader": "/v1/inHeader",
    "inCookie": "/v1/inCookie",
    "user": "/v1/user",
    "token": "/v1/token",
    "inQuery-token": "/v1/inQuery-token?k=k%26y%2B1",
}


async def test_every_input_and_credential_stands_where_the_description_says(tmp_path: Path) -> None:
    (tmp_path / "wire.json").write_text(json.dumps(SPEC), "utf-8")
    async with backend() as shop:
        address = {"host": "127.0.0.1", "port": str(shop.port)}
        secured = {"variables": address, "auth": LOGIN}
        connections = {"plain": {"variables": address}, "secured": secured}
        for one in connections.values():
            one.update({"connector": "shop", "egress": ["127.0.0.1"]})
        rules = {}
        for place, (operation, inputs) in enumerate(WITH.items()):
            name = "secured" if SPEC["paths"].get(f"/{operation}", {}).get("get") else "plain"
            rules[f"r{place}"] = {"from": ["web"], "do": [{"call": f"{name}.{operation}", "with": inputs}]}
        content = {
            **document("", connections=connections, rules=rules),
            "connectors": {"shop": {"spec": "wire.json"}},
        }
        async with instance(tmp_path, content, environment={"WIRE_KEY": "k&y+1"}) as it:
            await it.send(DATA)

            async def ended() -> bool:
                return {row["state"] for row in await it.deliveries()} == {"delivered"}

            await until(ended)
            assert sorted(call.target for call in shop.calls) == sorted(TARGETS.values())
            calls = {
                name: next(call for call in shop.calls if call.target == target)
                for name, target in TARGETS.items()
            }
        heads = {
            name: {
                key: call.headers[key]
                for key in ("x-list", "x-map", "id", "x-k", "cookie", "authorization")
                if key in call.headers
            }
            for name, call in calls.items()
        }
        assert {name: head for name, head in heads.items() if head} == {
            "all.styles": {"x-list": "x,y,z", "x-map": "k,v,l,m", "cookie": "crumb=c1"},
            "same": {"id": "3"},
            "inHeader": {"x-k": "k&y+1"},
            "inCookie": {"cookie": "kc=k&y+1"},
            "user": {"authorization": "Basic dTprJnkrMQ=="},
            "token": {"authorization": "Bearer k&y+1"},
            "inQuery-token": {"authorization": "Bearer k&y+1"},
        }
        assert calls["named"].body == b'{"n":12345678901234567890}'
        assert calls["form"].headers["content-type"] == "application/x-www-form-urlencoded"
        assert calls["form"].body == (
            b"t=a%2Fb+%C3%BC%3F%23%252F%26c%3Dd%2B&l=x&l=y%2Cz&m=%7B%22k%22%3A%22v%22%2C%22l%22%3A%22m%22%7D&n=12345678901234567890"
        )
