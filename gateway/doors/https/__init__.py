"""The HTTPS door: HTTP in, the flow's verbs out. No decision is made here.

In reading order: `app` puts it together, `guard` says who may call what, `gatekeeper`, `authorization` and `sign_in` find out
who calls, `token_endpoint`, `transfers`, `batches`, `events` and `tus` are the pages, `dav` is the tree as WebDAV shows it,
`models` and `schema` say what goes in and out, `queries` reads what is asked for, `bodies` brings bytes, `problems` says what
went wrong, `operations` and `openapi` describe all of it, `origins` says which browsers may look, `server` and `tls` are the
socket.
"""

from gateway.doors.https.app import make_app
from gateway.doors.https.bodies import BodyLimits
from gateway.doors.https.events import StreamLimits
from gateway.doors.https.guard import ROUTES
from gateway.doors.https.server import serving
from gateway.doors.https.tls import server_context

__all__ = ["ROUTES", "BodyLimits", "StreamLimits", "make_app", "server_context", "serving"]
