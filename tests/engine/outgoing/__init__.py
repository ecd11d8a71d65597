"""Tests of requests to addresses that clients name."""
