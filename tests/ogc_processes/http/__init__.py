"""Tests of OGC API - Processes over HTTP."""
