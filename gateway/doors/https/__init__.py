"""The HTTPS door: HTTP in, the flow's verbs out. No decision is made here.

In reading order: `app` puts it together, `guard` says who may call what, `token_endpoint`, `transfers` and `tus` are the pages,
`bodies` brings bytes, `problems` says what went wrong, `origins` which browsers may look, `server` and `tls` are the socket.
"""

from gateway.doors.https.app import make_app
from gateway.doors.https.bodies import BodyLimits
from gateway.doors.https.guard import ROUTES
from gateway.doors.https.server import serving
from gateway.doors.https.tls import server_context

__all__ = ["ROUTES", "BodyLimits", "make_app", "server_context", "serving"]
