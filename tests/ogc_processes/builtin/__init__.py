"""The processes that come with GeoStream, called without a server."""
