"""The guard of pages: who is signed in, which rule a view has, and whether a form came from a page of ours.

A view says who may use it by one of the decorators below; `enforce`, run before every request, keeps the rule. A view of the
portal, the desk or the account without a rule is refused, and so is every changing request without our token.

    @portal.post("/members")
    @member_required(MemberRole.OWNER, lately=True)     # own publisher, right role, password or code within ten minutes
    def invite() -> ResponseReturnValue:
        publisher = mine().publisher                    # what belongs to another is asked for with its id, and so not found
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from secrets import token_urlsafe
from typing import TypeVar
from urllib.parse import quote, urlsplit

from flask import Flask, Response, abort, current_app, g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from markupsafe import Markup
from sqlalchemy import update

from syndicator.domain.accounts import MemberRole, Membership, SignIn, StaffRole, User
from syndicator.operations.members import memberships_of
from syndicator.operations.sign_in import SEEN_IS_NOTED_EVERY, Browser, browser_of, find_sign_in
from syndicator.storage.engine import reading
from syndicator.web.identity import the_house
from syndicator.web.problems import machine_asks

View = TypeVar("View", bound=Callable[..., ResponseReturnValue])
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
GUARDED = frozenset({"portal", "desk", "account"})  # blueprints in which a view without a rule is refused
PRIVATE = GUARDED | {"auth"}  # blueprints of which nothing is kept by any cache
FORM_TOKEN = "form_token"  # noqa: S105 -- the name of a field


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may use a view. `anyone`: whoever is signed in. `lately`: only soon after a password or code was given."""

    staff: frozenset[StaffRole] = frozenset()
    members: frozenset[MemberRole] = frozenset()
    anyone: bool = False
    lately: bool = False


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who is signed in, with what they may do. `membership` is the one the portal shows."""

    sign_in: SignIn
    user: User
    memberships: tuple[Membership, ...]

    @property
    def membership(self) -> Membership | None:
        chosen = [each for each in self.memberships if each.publisher_id == self.sign_in.publisher_id]
        return next(iter(chosen or self.memberships), None)

    @property
    def home(self) -> str:
        if self.user.staff_role is not None:
            return "/desk/"
        return "/portal/" if self.memberships else "/account/"

    def satisfies(self, rule: Rule) -> bool:
        return (
            rule.anyone
            or self.user.staff_role in rule.staff
            or (self.membership is not None and self.membership.role in rule.members)
        )

    def belongs(self, rule: Rule) -> bool:
        """Whether this person may know that the view exists."""
        return bool(rule.staff and self.user.staff_role) or bool(rule.members and self.memberships)


def staff_required(*roles: StaffRole, lately: bool = False) -> Callable[[View], View]:
    """Let staff with one of `roles` (any role if none is named) and administrators use the view; for others it does not exist."""
    return _ruled(Rule(staff=frozenset({*roles, StaffRole.ADMIN} if roles else StaffRole), lately=lately))


def member_required(*roles: MemberRole, lately: bool = False) -> Callable[[View], View]:
    """Let members of a publisher with one of `roles` (any if none is named) and its owners use the view."""
    return _ruled(Rule(members=frozenset({*roles, MemberRole.OWNER} if roles else MemberRole), lately=lately))


def signed_in_required(*, lately: bool = False) -> Callable[[View], View]:
    """Let whoever is signed in use the view."""
    return _ruled(Rule(anyone=True, lately=lately))


def sent_by_others(view: View) -> View:
    """Let forms of others be posted to the view: its address is the proof, and no cookie counts there (RFC 8058, 3.1)."""
    view.sent_by_others = True  # type: ignore[attr-defined]
    return view


def signed_in() -> SignedIn | None:
    """Return who is signed in, None for nobody. Pages that caches may keep do not ask."""
    if "signed_in" not in g:
        g.signed_in = _read_sign_in()
    found: SignedIn | None = g.signed_in
    return found if found is not None and not found.sign_in.code_due else None


def code_due() -> SignIn | None:
    """Return the sign-in that waits for the code of the second factor."""
    if "signed_in" not in g:
        g.signed_in = _read_sign_in()
    found: SignedIn | None = g.signed_in
    return found.sign_in if found is not None and found.sign_in.code_due else None


def me() -> SignedIn:
    """Return who is signed in, in a view whose rule has let somebody in."""
    return signed_in() or abort(404)


def mine() -> Membership:
    """Return the membership by which the person acts, in a view for members; `mine().publisher` is detached, for reading."""
    return me().membership or abort(404)


def actor() -> str:
    """Return how the audit log calls the person."""
    return me().user.email


def browser() -> Browser:
    return browser_of(request.remote_addr or "", request.headers.get("User-Agent", ""))


def rule_of(endpoint: str) -> Rule | None:
    rule: Rule | None = getattr(current_app.view_functions.get(endpoint), "rule", None)
    return rule


def may(endpoint: str) -> bool:
    """Say whether the person may use the view, for navigation and buttons."""
    rule, person = rule_of(endpoint), signed_in()
    return rule is None or (person is not None and person.satisfies(rule))


def local_path(text: str | None) -> str | None:
    """Return `text` if it is a path on this host and nothing else, to go on to after signing in (reliability S21).

    Browsers read `\\` as `/`, drop tabs and line breaks, and take `//host` for another host.
    """
    if not text or len(text) > 500 or not text.startswith("/") or not text.isascii() or not text.isprintable():
        return None
    parts = urlsplit(text)
    if parts.scheme or parts.netloc or "\\" in text or " " in text or "//" in text.partition("?")[0] or "/." in parts.path:
        return None
    return text


def install(app: Flask) -> None:
    """Have every request guarded, and give templates `form_token_field`, `may` and `signed_in`."""
    app.before_request(enforce)
    app.after_request(_after)
    app.jinja_env.globals |= {"form_token_field": form_token_field, "may": may, "signed_in": signed_in}


def enforce() -> ResponseReturnValue | None:
    """Refuse what the view's rule does not allow; None lets the request through."""
    if machine_asks() or request.endpoint is None:
        return None  # programs show a key with each request; no cookie counts for them
    view = current_app.view_functions.get(request.endpoint)
    if request.method not in SAFE_METHODS and not getattr(view, "sent_by_others", False):
        _require_our_form()
    rule = rule_of(request.endpoint)
    if rule is None:
        return abort(404) if request.blueprint in GUARDED else None
    person = signed_in()
    if person is None:
        return redirect(f"/sign-in?next={quote(_here(), safe='/')}", 303)
    if not person.satisfies(rule):
        abort(
            403 if person.belongs(rule) else 404,
            "Your role does not allow this. Ask an owner of the account, or an administrator.",
        )
    return _ask_for_more(person, rule)


def _ask_for_more(person: SignedIn, rule: Rule) -> ResponseReturnValue | None:
    house = the_house()
    if house.config.security.require_totp and rule.staff and not person.user.second_factor:
        return redirect(url_for("account.second_factor_page"), 303)
    if rule.lately and not person.sign_in.proven_lately(house.clock()):
        if request.method in SAFE_METHODS:
            return redirect(f"/account/prove?next={quote(_here(), safe='/')}", 303)
        return redirect(f"/account/prove?send={quote(request.path, safe='/')}", 307)  # with all that was typed
    return None


def _here() -> str:
    """Where to come back to: this page, or for a form the page it stood on."""
    if request.method in SAFE_METHODS:
        return local_path(request.full_path.rstrip("?")) or "/"
    return local_path(urlsplit(request.referrer or "").path) or "/"


def set_cookie(response: Response, token: str) -> Response:
    """Hand the browser its sign-in; without a date, so that a closed browser forgets it."""
    response.set_cookie(_cookie_name("sign-in"), token, secure=_secure(), httponly=True, samesite="Lax", path="/")
    return response


def drop_cookie(response: Response) -> Response:
    response.delete_cookie(_cookie_name("sign-in"), secure=_secure(), httponly=True, samesite="Lax", path="/")
    return response


def form_token_field() -> Markup:
    """The hidden field that every form of ours carries."""
    return Markup('<input type="hidden" name="{}" value="{}">').format(FORM_TOKEN, _form_token(_form_secret(make=True)))


def _require_our_form() -> None:
    """Refuse a form that a page of somebody else sent (CSRF): by what the browser says of its origin, and by our token."""
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    ours = site == "same-origin" if site is not None else origin in {None, the_house().config.site.base_url}
    secret = _form_secret(make=False)
    given = request.form.get(FORM_TOKEN, "")
    if not ours or not secret or not hmac.compare_digest(given.encode(), _form_token(secret).encode()):
        abort(
            403, "This form is too old, or was not sent from our own page. Go back, load the page again, and send it once more."
        )
    if any("\0" in value for value in request.form.values()):  # no browser sends one, and PostgreSQL takes none
        abort(400, "A field holds a character that no text has.")


def _form_secret(*, make: bool) -> str:
    """Return what the token is made from: the sign-in's cookie, or for others one that lives as long as their browser."""
    person = signed_in() or code_due()
    if person is not None:
        return request.cookies[_cookie_name("sign-in")]
    known: str = g.get("form_secret") or request.cookies.get(_cookie_name("form"), "")
    if not known and make:
        known = g.form_secret = g.new_form_secret = token_urlsafe(24)
    return known


def _form_token(secret: str) -> str:
    return hmac.new(secret.encode(), b"form", hashlib.sha256).hexdigest()


def _after(response: Response) -> Response:
    if "new_form_secret" in g:
        response.set_cookie(_cookie_name("form"), g.new_form_secret, secure=_secure(), httponly=True, samesite="Lax", path="/")
    if request.blueprint in PRIVATE or "new_form_secret" in g or "signed_in" in g:
        response.headers["Cache-Control"] = "no-store"
        response.headers["Referrer-Policy"] = "same-origin"
    return response


def _read_sign_in() -> SignedIn | None:
    token = request.cookies.get(_cookie_name("sign-in"))
    if not token:
        return None
    house = the_house()
    at = house.clock()
    with reading(house.sessions) as session:
        found = find_sign_in(session, token, at=at)
        memberships = tuple(memberships_of(session, found.user_id)) if found else ()
    if found is None:
        return None
    if at - found.seen_at >= SEEN_IS_NOTED_EVERY:
        with house.sessions.begin() as session:
            session.execute(update(SignIn).where(SignIn.id == found.id).values(seen_at=at))
    return SignedIn(found, found.user, memberships)


def _ruled(rule: Rule) -> Callable[[View], View]:
    def mark(view: View) -> View:
        view.rule = rule  # type: ignore[attr-defined]
        return view

    return mark


def _secure() -> bool:
    return the_house().config.site.base_url.startswith("https:")


def _cookie_name(what: str) -> str:
    """`__Host-` binds a cookie to this host alone; browsers allow it only with TLS (RFC 6265bis, 4.1.3.2)."""
    return f"__Host-{what}" if _secure() else what
