"""Home, system and decision: each as a page, and as JSON for who asks for that."""

from __future__ import annotations

from typing import Final

from markupsafe import Markup

from kring.api.exchange import Response
from kring.api.faults import told
from kring.api.managed import Answer, Call, Managed, answer, wants_page
from kring.api.management import Systems, observed
from kring.console import look
from kring.errors import KringError
from kring.flow.explaining import explain
from kring.flow.tracing import trace
from kring.flow.viewing.decisions import decision_view
from kring.flow.viewing.figures import evidence_charts
from kring.flow.viewing.systems import live_evidence, system_row, system_view
from kring.record.explanation import Explanation, Method

METHODS: Final[tuple[Method, ...]] = ("shap", "lime")
TWIN: Final = ".json"


def home(call: Call) -> Response:
    """Every system that the caller may observe."""
    projects = observed(call)
    rows = [system_row(project, call.control.followers[project.system.name]) for project in projects]
    if not as_page(call):
        return answer(Systems(rows))
    return look.page("home.html.jinja", who=call.principal.name, systems=rows)


def system(call: Call) -> Response:
    """One system as it stands, with what was measured of its live version."""
    name = call.params["system"].removesuffix(TWIN)
    project = call.project(name)
    view = system_view(project, call.control.followers[name])
    if not as_page(call):
        return answer(view)
    evidence = live_evidence(project)
    charts = evidence_charts(evidence, currency=project.system.frame.currency) if evidence else []
    drawn = [(chart, call.control.drawings.get(chart.spec)) for chart in charts]
    return look.page(
        "system.html.jinja",
        who=call.principal.name,
        system=view,
        drawings=[(chart, drawing._replace(svg=Markup(drawing.svg))) for chart, drawing in drawn],
        waiting=any(drawing.state == "waiting" for _, drawing in drawn),
    )


def decision(call: Call) -> Response:
    """One decision: asked, answered, why, what became of it, what it rests on."""
    id = call.params["id"].removesuffix(TWIN)
    project = call.deciding(id)
    view = decision_view(project, id)
    if not as_page(call):
        return answer(view)
    may_explain = call.control.may(call.principal, "explain", project.system.name)
    why, refused = None, ""
    if may_explain and call.query.get("why") in METHODS:
        why, refused = explained(call, id, method="lime" if call.query["why"] == "lime" else "shap")
    lineage, untraced = None, ""
    try:
        lineage = trace(project, id)
    except KringError as error:
        untraced = error.message
    return look.page(
        "decision.html.jinja",
        who=call.principal.name,
        decision=view,
        why=why,
        refused=refused,
        may_explain=may_explain,
        lineage=lineage,
        untraced=untraced,
    )


def explained(call: Call, id: str, *, method: Method) -> tuple[Explanation | None, str]:
    """Why it came out so, or why that can't be said."""
    try:
        return explain(call.deciding(id), id, method=method), ""
    except KringError as error:
        return None, ". ".join(part for part in (error.message, error.next) if part)


def as_page(call: Call) -> bool:
    """Whether a page is wanted, or its twin."""
    return wants_page(call.headers) and not any(part.endswith(TWIN) for part in call.params.values())


def fault(error: KringError, status: int, path: str) -> Response:
    """An error as a page; who is not known is asked to sign in, and comes back afterwards."""
    if status == 401:
        headers = (("www-authenticate", "Bearer"),)
        return look.page("sign_in.html.jinja", status=401, headers=headers, who="", fault="", next=path)
    parts = {name: text for name, text in told(error).items() if name in ("got", "allowed", "next")}
    return look.page("fault.html.jinja", status=status, who="", message=error.message, facts=list(parts.items()))


def _page(path: str, handler: Answer, summary: str) -> Managed:
    return Managed(
        method="GET",
        path=path,
        handler=handler,
        action="observe",
        summary=summary,
        page=True,
        shown=fault,
    )


ROUTES: Final = (
    _page("/", home, "Every system that is served"),
    _page("/systems/{system}", system, "One system as it stands"),
    _page("/decisions/{id}", decision, "One decision and what it rests on"),
)
