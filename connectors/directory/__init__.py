"""A directory as an endpoint: a mounted share, or the drop folder of an institute on the same machine."""

from connectors.directory.connector import DirectoryConnector

__all__ = ["DirectoryConnector"]
