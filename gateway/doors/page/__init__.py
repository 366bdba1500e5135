"""The upload page: a person with a browser and an application password. Forms in, the flow's verbs, HTML out.

It has a port of its own, where TLS asks nobody for a certificate: a browser would show its list of certificates to everyone.

In reading order: `app` puts it together, `guard` says who may call what, `sign_in` and `transfers` are the pages, `forms` and
`declaring` read what people filled in, `sheets` writes HTML, `assets` gives the style sheet and the script.
"""

from gateway.doors.page.app import make_page_app
from gateway.doors.page.guard import ROUTES

__all__ = ["ROUTES", "make_page_app"]
