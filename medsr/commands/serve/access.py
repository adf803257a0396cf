"""Who may ask what: every request passes here first, and every answer leaves with the headers that keep it private."""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from medsr.commands.serve.settings import Settings, is_loopback

PUBLIC_PATHS = ("/api/login", "/api/about")
"""Of the API, what may be asked without the token."""
SAFE_METHODS = ("GET", "HEAD")
MAX_REQUEST_BYTES = 65536
"""The largest body of a request that is not an upload."""
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}


class AccessMiddleware:
    """Middleware (ASGI): refuses what comes from other sites or without the token."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app, self.settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return  # no websockets

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                if "server" in headers:
                    del headers["server"]
            await send(message)

        refusal = self._refusal(scope)
        if refusal is not None:
            status, reason = refusal
            await JSONResponse({"error": reason}, status)(scope, receive, guarded)
            return
        upload = (scope["method"], scope["path"]) == ("POST", "/api/files")
        await self.app(scope, receive if upload else _limited(receive), guarded)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        # A page elsewhere may have its own name point to this machine (DNS rebinding): only our names are served.
        if self.settings.is_local and not is_loopback(_hostname(host)):
            return 403, "this server answers to this machine's own name only"
        origin = headers.get("origin")
        foreign = headers.get("sec-fetch-site") in ("cross-site", "same-site")
        if scope["method"] not in SAFE_METHODS and (foreign or (origin is not None and _netloc(origin) != host)):
            return 403, "asked for by another site"
        if (scope["method"], scope["path"]) != ("POST", "/api/files") and _length(headers) > MAX_REQUEST_BYTES:
            return 413, "more than any wish needs"
        if scope["path"].startswith("/api/") and scope["path"] not in PUBLIC_PATHS and not self._has_token(headers):
            return 401, "this server asks for its token"
        return None

    def _has_token(self, headers: Headers) -> bool:
        token = self.settings.token
        if token is None:
            return True
        kind, _, credentials = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and equal_in_constant_time(credentials.strip(), token):
            return True
        return equal_in_constant_time(cookie(headers, token_cookie_name(self.settings)), token_cookie_value(token))


def _length(headers: Headers) -> int:
    try:
        return int(headers.get("content-length", "0"))
    except ValueError:
        return 0


def _limited(receive: Receive) -> Receive:
    """A body that does not say its length ends, as if the line had broken, where it gets too long."""
    size = 0

    async def counted() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        return message if size <= MAX_REQUEST_BYTES else {"type": "http.disconnect"}

    return counted


def _hostname(host: str) -> str:
    """A Host header without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _netloc(origin: str) -> str:
    """Name and port of an Origin header."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def equal_in_constant_time(candidate: str, expected: str) -> bool:
    """Equal, in a time that does not tell how far."""
    return hmac.compare_digest(candidate.encode(), expected.encode())


def token_cookie_name(settings: Settings) -> str:
    """The cookie that stands for the token. Cookies do not know ports: two servers on a machine need two names."""
    return f"medsr-pass-{settings.port}"


def user_cookie_name(settings: Settings) -> str:
    """The cookie that says who is asking."""
    return f"medsr-user-{settings.port}"


def token_cookie_value(token: str) -> str:
    """What that cookie holds: not the token itself, so that a cookie read from a disk does not give it away."""
    return hmac.new(token.encode(), b"medsr serve", hashlib.sha256).hexdigest()


def cookie(headers: Headers, name: str) -> str:
    """A cookie's value, or nothing."""
    return cookie_parser(headers.get("cookie", "")).get(name, "")
