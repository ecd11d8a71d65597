"""The echo dialect as an installed part."""

from streaming.core.errors import ErrorKind
from streaming.engine.measures import Measure
from streaming.engine.registry import EngineApp
from streaming.engine.settings import Setting


class EchoConfig(EngineApp):
    name = "tests.echo"
    dialect = "echo"
    services = ("tests.echo.dialect.Echo",)
    settings = (Setting("ECHO_CHANNEL", "echo", "the channel of Redis that messages go through"),)
    measures = (Measure("geostream_echo_messages_total", "counter", (), "messages that were echoed here"),)
    errors = (ErrorKind("nothing_to_echo", 400, False, "the message is empty"),)
    websocket_urlconf = "tests.echo.dialect"
