"""The hook of the crash suite: asks for something first, then sends its request with it."""


async def execute(context):
    """Perform `hooked`."""
    request = context.request
    before = await context.send(context.Request("GET", request.url.replace("/hooked/", "/before/"), {}, b""))
    if before.status != 200:
        return before
    request.headers["X-Before"] = before.json()["value"]
    return await context.send(request)
