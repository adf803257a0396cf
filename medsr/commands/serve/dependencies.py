"""Who asks, and at which server: what every function of the API may depend on."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from starlette.exceptions import HTTPException

from medsr.commands.serve import access
from medsr.commands.serve.service import Service
from medsr.commands.serve.store import User


class UnknownSessionError(HTTPException):
    """Nobody this server knows: the session has ended, or the server was started anew."""

    def __init__(self) -> None:
        super().__init__(410, "this server does not know your session: it ended, or the server was started anew")


def _service(request: Request) -> Service:
    return request.app.state.service


def _session_user(request: Request, service: Annotated[Service, Depends(_service)]) -> User | None:
    return service.store.user(access.cookie(request.headers, access.user_cookie_name(service.settings)))


def _current_user(user: Annotated[User | None, Depends(_session_user)]) -> User:
    if user is None:
        raise UnknownSessionError
    return user


ServiceDep = Annotated[Service, Depends(_service)]
CurrentUser = Annotated[User, Depends(_current_user)]
OptionalUser = Annotated[User | None, Depends(_session_user)]
