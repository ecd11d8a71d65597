"""The topic `monitor`: what operators' pages show is told here as it happens. Staff only; what is pushed here are questions."""

from __future__ import annotations

from typing import Any, ClassVar

from streaming.core.errors import StreamError
from streaming.topics.channel import Channel, Refused, Reply
from streaming.topics.rooms import SlowPolicy

from . import history
from .history import RINGS

PERIODS = [ring.name for ring in RINGS]


class MonitorChannel(Channel):
    """One page of one operator."""

    slow: ClassVar[dict[str, SlowPolicy]] = {"frame": "latest", "node.stats": "drop"}

    async def join(self, params: dict[str, Any]) -> dict[str, Any] | None:
        """Staff, with their login. The charts are declared in the answer."""
        if not self.user.is_staff:
            raise Refused
        self.member.key = self.user.get_username()
        recorder = self._recorder
        steps = {ring.name: ring.step for ring in RINGS}
        return {"charts": recorder.charted.described(), "steps": steps, "latest": await recorder.latest()}

    async def handle_in(self, event: str, payload: Any) -> Reply:
        """`history` with `period` (5m, 1h, 24h) and `by_process`: the frames of that time, as columns."""
        period = payload.get("period") if isinstance(payload, dict) else None
        if event != "history" or period not in PERIODS:
            return Reply("error", {"reason": "bad_request", "detail": f"there is `history`, with a period of {', '.join(PERIODS)}"})
        try:
            frames = await history.read(period)
        except StreamError as error:
            return Reply("error", {"reason": error.code, "detail": error.message})
        return Reply(response=history.columns(frames, payload.get("by_process") is True))

    def refresh(self) -> None:
        """Who is not staff any more leaves."""
        if not self.user.is_staff:
            self.topics.spawn(self.connection.session.end(self.member, "phx_error", {"reason": "unauthorized"}))  # type: ignore[attr-defined]

    @property
    def _recorder(self) -> Any:
        from .service import Operators  # which is made with the topics that it needs

        return self.topics.runtime.service(Operators).recorder
