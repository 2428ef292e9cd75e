"""Makes requests and opened sources for the tests of webhooks."""

from collections.abc import Callable, Mapping
from typing import Any

from triggers.base import Expression, HttpRequest, SourceContext
from triggers.webhook import WebhookConfig, WebhookSource

NOW = 1_700_000_000


def request(
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    *,
    method: str = "POST",
    query: str = "",
    now: float = NOW,
    host: str = "hooks.example.com",
) -> HttpRequest:
    """Return a request to /hooks/in, as the ingest server would hand it over."""
    path = "/hooks/in"
    return HttpRequest(
        method=method,
        target=f"{path}?{query}" if query else path,
        path=path,
        query=query,
        headers=tuple((name.lower(), value) for name, value in (headers or {}).items()),
        body=body,
        peer="203.0.113.9",
        scheme="https",
        host=host,
        now=now,
    )


def field(text: str) -> Expression:
    """Stand in for CEL: a dotted path; a missing one raises ValueError, as an evaluation error does."""
    if " " in text:
        raise ValueError(f"{text!r} is no expression")

    def evaluate(seen: Mapping[str, Any]) -> Any:
        value: Any = {"event": seen, **seen}
        for name in text.split("."):
            if not isinstance(value, Mapping) or name not in value:
                raise ValueError(f"no such key: {name}")
            value = value[name]
        return value

    return evaluate


async def opened(
    *, random: Callable[[int], bytes] = lambda count: b"\xab" * count, **config: Any
) -> WebhookSource:
    """Return an open source named `in`."""
    config.setdefault("verify", {"scheme": "none"})
    source = WebhookSource("in", WebhookConfig.model_validate({"kind": "webhook", **config}), random=random)
    await source.open(
        SourceContext(name="in", reached=lambda _point: None, clock=lambda: NOW, expression=field)
    )
    return source
