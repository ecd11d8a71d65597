"""Alerts: rules of operators about measures, who is told when one is broken, and what was told."""
