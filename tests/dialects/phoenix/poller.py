"""A client of Phoenix Channels that polls, in this process."""

from __future__ import annotations

import asyncio
import json
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.core.handlers.asgi import ASGIHandler

TIMEOUT = 5.0


class Answer(NamedTuple):
    """An HTTP response."""

    status: int
    headers: dict[str, str]
    content: bytes


class Poller:
    """`open` a session, `say` frames, and `poll` for what there is; each returns the status that the body tells."""

    def __init__(self, path: str = "/longpoll", vsn: str | None = "2.0.0", **query: str) -> None:
        self.path = path
        self.query = query if vsn is None else {**query, "vsn": vsn}
        self.token = ""
        self._application = ASGIHandler()

    async def open(self) -> Poller:
        status, _ = await self.poll()
        assert (status, bool(self.token)) == (410, True)
        return self

    async def poll(self, **headers: str) -> tuple[int, list[Any]]:
        """Status and decoded frames; the session's token is taken over."""
        body = json.loads((await self.request("GET", b"", **headers)).content)
        self.token = body.get("token", self.token)
        return body["status"], [json.loads(message) for message in body.get("messages", ())]

    async def say(self, *frames: Any, **headers: str) -> int:
        """Lists as JSON, texts as they are; the status."""
        lines = (frame if isinstance(frame, str) else json.dumps(frame) for frame in frames)
        return await self.post("\n".join(lines).encode(), **headers)

    async def post(self, body: bytes, **headers: str) -> int:
        answer = await self.request("POST", body, **headers)
        assert answer.status == 200
        status: int = json.loads(answer.content)["status"]
        return status

    async def request(self, method: str, body: bytes = b"", **headers: str) -> Answer:
        """`_` in the name of a header stands for `-`. Cancelled, the client has hung up."""
        query = {**self.query, "token": self.token} if self.token else self.query
        scope = {
            "type": "http",
            "http_version": "1.1",
            "scheme": "http",
            "method": method,
            "path": self.path,
            "query_string": urlencode(query).encode(),
            "headers": [(name.replace("_", "-").lower().encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("testserver", 80),
        }
        said: asyncio.Queue[Any] = asyncio.Queue()
        heard: asyncio.Queue[Any] = asyncio.Queue()
        said.put_nowait({"type": "http.request", "body": body})
        asking = asyncio.create_task(self._application(scope, said.get, heard.put))
        try:
            async with asyncio.timeout(TIMEOUT):
                head, content = await heard.get(), await heard.get()
        finally:
            said.put_nowait({"type": "http.disconnect"})
            await asyncio.wait({asking}, timeout=TIMEOUT)
        return Answer(head["status"], {name.decode().lower(): value.decode() for name, value in head["headers"]}, content["body"])

    async def ask(self, *frame: Any) -> tuple[str, Any]:
        """Say a frame; status and response of the reply. What is told besides is lost."""
        assert await self.say(list(frame)) == 200
        while True:
            for told in (await self.poll())[1]:
                if told[1:4] == [frame[1], frame[2], "phx_reply"]:
                    return told[4]["status"], told[4]["response"]

    async def join(self, topic: str, **params: Any) -> Any:
        status, response = await self.ask("1", "1", topic, "phx_join", params)
        assert status == "ok", response
        return response
