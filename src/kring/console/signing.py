"""A person signs in with an API key and gets a session in a cookie that no script can read and no other site sends."""

from __future__ import annotations

from typing import Final, Literal
from urllib.parse import parse_qs

from kring.access.sessions import LASTS_US
from kring.api.bodies import media_of
from kring.api.control import COOKIE
from kring.api.exchange import Header, Response
from kring.api.faults import status_of
from kring.api.managed import Answer, Call, Managed, Shown
from kring.console import look, pages
from kring.errors import Forbidden, KringError, Unauthenticated, UserError

FORM: Final = "application/x-www-form-urlencoded"
LONGEST: Final = 4096
MOST_FIELDS: Final = 8
OURS: Final = (None, "same-origin", "none")
"""Where a form may have been sent from, as browsers tell it."""


def form(call: Call) -> Response:
    """The page to sign in on."""
    return look.page("sign_in.html.jinja", who="", fault="", next=local(call.query.get("next", "/")))


def sign_in(call: Call) -> Response:
    """A session for who shows a good key; the page again, with the reason, for who does not."""
    require_own(call)
    fields = fields_of(call)
    target = local(fields.get("next", "/"))
    try:
        who = call.control.whoever({"x-api-key": fields.get("key", "").strip()}, address=call.address)
        if not who.key:
            raise Unauthenticated("only an API key begins a session", next="programs show their token at each request")
    except KringError as error:
        return look.page("sign_in.html.jinja", status=status_of(error), who="", fault=error.message, next=target)
    session = call.control.sessions.begin(who.key, now=call.control.now())
    return Response(303, headers=(("location", target), cookie(call, session, lasts_s=LASTS_US // 1_000_000)))


def sign_out(call: Call) -> Response:
    """The browser forgets the session."""
    require_own(call)
    return Response(303, headers=(("location", "/sign-in"), cookie(call, "", lasts_s=0)))


def stylesheet(_: Call) -> Response:
    """How pages look."""
    return Response(200, look.style(), "text/css; charset=utf-8", (("cache-control", "public, max-age=31536000"),))


def icon(_: Call) -> Response:
    """The ring."""
    return Response(200, look.icon(), "image/svg+xml", (("cache-control", "public, max-age=31536000"),))


def cookie(call: Call, value: str, *, lasts_s: int) -> Header:
    secure = "; Secure" if call.control.is_secure else ""
    return ("set-cookie", f"{COOKIE}={value}; Path=/; Max-Age={lasts_s}; HttpOnly; SameSite=Strict{secure}")


def fields_of(call: Call) -> dict[str, str]:
    """The form's fields. `UserError` for anything else than a small form."""
    if media_of(call.headers) != FORM or len(call.body) > LONGEST:
        raise UserError("this is no form", got=media_of(call.headers)[:80], allowed=FORM, key="content-type")
    try:
        found = parse_qs(call.body.decode("utf-8", "replace"), max_num_fields=MOST_FIELDS)
    except ValueError as error:
        raise UserError("this form has too many fields", allowed=f"{MOST_FIELDS}") from error
    return {name: values[-1] for name, values in found.items()}


def require_own(call: Call) -> None:
    """`Forbidden` for a form that another site sent."""
    if call.headers.get("sec-fetch-site") not in OURS:
        raise Forbidden("this form was sent by another site", next="open this server's own page to sign in or out")


def local(path: str) -> str:
    """A path of this server to go on to; the first page for anything that may lead elsewhere."""
    plain = path.isascii() and path.isprintable() and "\\" not in path and len(path) < LONGEST
    return path if plain and path.startswith("/") and not path.startswith(("//", "/sign-")) else "/"


def _open(
    path: str, handler: Answer, summary: str, *, method: Literal["GET", "POST"] = "GET", shown: Shown | None = None
) -> Managed:
    """A part of a page that everybody may see."""
    return Managed(
        method=method,
        path=path,
        handler=handler,
        action="observe",
        summary=summary,
        public=True,
        page=True,
        shown=shown,
    )


ROUTES: Final = (
    _open("/sign-in", form, "The page to sign in on", shown=pages.fault),
    _open("/sign-in", sign_in, "Begin a session with an API key", method="POST", shown=pages.fault),
    _open("/sign-out", sign_out, "End the session of this browser", method="POST", shown=pages.fault),
    _open(look.STYLE, stylesheet, "How pages look"),
    *(_open(path, icon, "The ring, for the tab of a browser") for path in (look.ICON, "/favicon.ico")),
)
