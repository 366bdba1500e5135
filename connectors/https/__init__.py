"""An HTTPS server as an endpoint: plain PUT, or WebDAV (RFC 4918) where there is MOVE."""

from connectors.https.connector import HttpsConnector

__all__ = ["HttpsConnector"]
