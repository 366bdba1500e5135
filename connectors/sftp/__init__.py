"""An SFTP server as an endpoint: what most institutes in Hong Kong already run."""

from connectors.sftp.connector import SftpConnector

__all__ = ["SftpConnector"]
