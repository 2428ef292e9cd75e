"""What every resource file stands on: the desk of the running instance."""

from typing import Annotated

from fastapi import Depends, Query, Request

from service.usecases.desk import Desk


def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


AtDesk = Annotated[Desk, Depends(_desk)]
Cursor = Annotated[str, Query(max_length=200, description="`next` of the page before; empty for the first.")]
Limit = Annotated[int, Query(ge=1, le=500, description="Most items of a page.")]
