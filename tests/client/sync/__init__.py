"""Tests of the file sync client."""
