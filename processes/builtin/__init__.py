"""The processes that come with GeoStream: geometry, rasters and live layers, as functions of Python."""
