"""OGC API - Processes live here."""
