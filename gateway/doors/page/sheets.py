"""HTML: templates filled with texts in the reader's language and values that are escaped.

A change must keep these:
1. Everything is escaped; no value becomes markup. A name that is missing is an error, not an empty space.
2. No script, style or handler stands in a page: the policy of `app.HEADERS` forbids browsers to run them.
3. A page is the reader's alone: nobody keeps it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from importlib.resources import files
from typing import Any, Final

from aiohttp import web
from jinja2 import DictLoader, Environment, StrictUndefined

from gateway.core.catalogue import LANGUAGES, Catalogue, negotiated
from gateway.core.errors import GatewayError
from gateway.core.facts import SHANGHAI
from gateway.doors.https.guard import LANGUAGE, REQUEST_ID
from gateway.doors.https.problems import STATUS, known_code
from gateway.doors.page.assets import Asset
from gateway.doors.page.session import SESSION

LANGUAGE_COOKIE: Final = "__Host-hetao-language"
LANGUAGE_NAMES: Final = {"zh-Hans": "简体中文", "zh-Hant": "繁體中文", "en": "English"}
_TEMPLATES: Final = ("base", "sign_in", "transfers", "new", "open", "transfer", "withdraw", "problem", "parts")
_SCRIPT_SECTION: Final = "upload."


def language_of(request: web.Request) -> str:
    """The language a reader chose, else the one the browser asks for."""
    chosen = request.cookies.get(LANGUAGE_COOKIE, "")
    return chosen if chosen in LANGUAGES else negotiated(request.headers.get("Accept-Language", ""))


class Sheets:
    """Writes pages."""

    def __init__(self, catalogue: Catalogue, assets: Mapping[str, Asset]) -> None:
        folder = files("gateway.doors.page") / "templates"
        sources = {f"{name}.html": (folder / f"{name}.html").read_text(encoding="utf-8") for name in _TEMPLATES}
        self._environment = Environment(
            loader=DictLoader(sources), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        self._environment.filters |= {"size": human_size, "moment": moment}
        self._catalogue = catalogue
        self._assets = assets

    def page(self, request: web.Request, template: str, *, status: int = 200, **values: Any) -> web.Response:
        """An answer of one template.

        Args:
            request: For the language and who is signed in.
            template: Its name.
            status: HTTP status.
            values: What it shows.
        """
        language = request[LANGUAGE]

        def text(message: str, **given: object) -> str:
            return self._catalogue.text(message, language, **given)

        html = self._environment.get_template(f"{template}.html").render(
            t=text,
            language=language,
            languages=LANGUAGE_NAMES,
            session=request.get(SESSION),
            here=request.path_qs if request.method == "GET" else request.path,
            assets=self._assets,
            script_texts=self._script_texts(language),
            **values,
        )
        headers = {"Content-Language": language, "Vary": "Accept-Language, Cookie"}
        return web.Response(status=status, text=html, content_type="text/html", charset="utf-8", headers=headers)

    def text(self, message: str, language: str) -> str:
        """A sentence without places for values."""
        return self._catalogue.text(message, language)

    def problem(self, request: web.Request, failure: GatewayError) -> web.Response:
        """A page that says what went wrong."""
        status = STATUS[known_code(failure)]
        response = self.page(
            request,
            "problem",
            status=status,
            problem=self.complaint(failure, request[LANGUAGE]),
            reference="" if status < 500 else request[REQUEST_ID],
        )
        if failure.wait:
            response.headers["Retry-After"] = str(failure.wait)
        return response

    def complaint(self, failure: GatewayError, language: str) -> dict[str, str]:
        """A failure in a reader's words; `detail` is the error's own sentence, in English, where the caller may have it."""
        code = known_code(failure)
        return {
            "title": self._catalogue.text(f"problem.{code}", language),
            "remedy": self._catalogue.text(_REMEDIES.get(code, f"remedy.{code}"), language),
            "detail": failure.message if STATUS[code] < 500 and code not in _REMEDIES else "",
        }

    def _script_texts(self, language: str) -> str:
        texts = self._catalogue.texts[language]
        said = {
            id_.removeprefix(_SCRIPT_SECTION): text for id_, text in texts.items() if id_.startswith(_SCRIPT_SECTION)
        }
        return json.dumps(said, ensure_ascii=False)


# What people are told to do where the API's words speak to a program.
_REMEDIES: Final = {
    "invalid-password": "page.remedy-password",
    "too-many-failures": "page.remedy-failures",
    "session-ended": "page.remedy-session",
    "no-such-transfer": "page.remedy-transfer",
    "no-such-route": "page.remedy-route",
    "cross-site": "page.remedy-cross-site",
    "not-permitted": "page.remedy-permission",
}


def human_size(count: int) -> str:
    """Bytes in decimal units, three digits at least."""
    if count < 1000:
        return f"{count} B"
    value, unit = count / 1000, "kB"
    for larger in ("MB", "GB", "TB"):
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    return f"{value:.3g} {unit}" if value < 99.95 else f"{value:.0f} {unit}"


def moment(at: str | datetime) -> str:
    """A time where the law and both cities have the same clock."""
    given = datetime.fromisoformat(at) if isinstance(at, str) else at
    return given.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M")
