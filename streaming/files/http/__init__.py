"""Files over HTTP: an ASGI application in front of Django."""
