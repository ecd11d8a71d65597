"""The whole dialect: a service on the bus, a session, and a route."""

from django.urls import path

from streaming.core.bus import Bus
from streaming.core.errors import CloseCode, StreamError
from streaming.engine.conf import conf
from streaming.engine.service import Service
from streaming.engine.session import Session
from streaming.engine.websocket import WebSocketConnection


class Echo(Service):
    def __init__(self, runtime):
        super().__init__(runtime)
        self.bus, self.messages, self.sessions = Bus(), 0, set()
        self.bus.on_channel(conf.ECHO_CHANNEL, self.deliver)

    async def start(self):
        await self.bus.start()

    async def stop(self):
        await self.bus.stop()

    def collect(self):
        yield "geostream_echo_messages_total", (), self.messages

    def deliver(self, arrivals):
        self.messages += len(arrivals)
        for session in self.sessions:
            frames = session.connection.sender.framing.pack([arrival.payload for arrival in arrivals], True)
            session.connection.outbox.send(*frames)


class EchoSession(Session):
    dialect = "echo"

    def __init__(self, connection):
        self.connection, self.echo = connection, connection.runtime.service(Echo)
        self.echo.sessions.add(self)

    async def receive(self, data):
        if data:
            self.echo.bus.publish(conf.ECHO_CHANNEL, data.encode())
        else:
            self.connection.close(CloseCode.BAD_PROTOCOL, str(StreamError("nothing_to_echo", "send some text")))

    def describe(self):
        return [{"id": "echo", "kind": "channel", "feed": conf.ECHO_CHANNEL}]

    def close(self):
        self.echo.sessions.discard(self)


class EchoConnection(WebSocketConnection):
    session_class = EchoSession


websocket_urlpatterns = [path("ws/echo", EchoConnection.as_asgi())]
