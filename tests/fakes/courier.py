"""A courier in memory: keeps what it was given, and answers as it is told to."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any

from gateway.core.errors import EndpointError
from gateway.core.records import Webhook


class FakeCourier:
    """`gateway.ports.Courier`.

    Attributes:
        posted: What arrived: webhook, body, header fields.
        answers: Statuses, or errors, of the next posts; 204 where there are none left.
        before: Called before each answer, in the thread that posts.
    """

    def __init__(self) -> None:
        self.posted: list[tuple[Webhook, bytes, Mapping[str, str]]] = []
        self.answers: list[int | EndpointError] = []
        self.before: Callable[[], None] = lambda: None
        self._lock = threading.Lock()

    def post(self, webhook: Webhook, body: bytes, fields: Mapping[str, str]) -> int:
        with self._lock:
            self.posted.append((webhook, body, fields))
            answer = self.answers.pop(0) if self.answers else 204
        self.before()
        if isinstance(answer, EndpointError):
            raise answer
        return answer

    def told(self, webhook: str = "erp") -> list[dict[str, Any]]:
        return [json.loads(body) for hook, body, _ in self.posted if hook.id == webhook]

    def states(self, webhook: str = "erp") -> list[str]:
        return [event["data"]["state"] for event in self.told(webhook)]
