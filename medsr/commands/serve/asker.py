"""Who asks, and at which server: what every function of the API may depend on."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from starlette.exceptions import HTTPException

from medsr.commands.serve import access
from medsr.commands.serve.service import Desk
from medsr.commands.serve.store import User


class Stranger(HTTPException):
    """Nobody this server knows: the session has ended, or the server was started anew."""

    def __init__(self) -> None:
        super().__init__(410, "this server does not know your session: it ended, or the server was started anew")


def _desk(request: Request) -> Desk:
    return request.app.state.desk


def _anybody(request: Request, desk: Annotated[Desk, Depends(_desk)]) -> User | None:
    return desk.store.user(access.cookie(request.headers, access.user_name(desk.settings)))


def _user(known: Annotated[User | None, Depends(_anybody)]) -> User:
    if known is None:
        raise Stranger
    return known


AtDesk = Annotated[Desk, Depends(_desk)]
Asking = Annotated[User, Depends(_user)]
Anybody = Annotated[User | None, Depends(_anybody)]
