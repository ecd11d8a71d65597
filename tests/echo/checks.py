"""The system check of the echo dialect."""

from django.core.checks import Warning, register

from streaming.engine.conf import conf


@register()
def check_channel(**kwargs):
    empty = not conf.ECHO_CHANNEL
    return [Warning("GEOSTREAM_ECHO_CHANNEL is empty.", id="echo.W001")] if empty else []
