"""A Django project that includes GeoStream under a prefix, has an API of its own, and REST_FRAMEWORK settings for that."""
