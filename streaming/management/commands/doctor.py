"""`manage.py doctor`: one page about how the site is, and what to do about what is not well."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.management.base import BaseCommand, CommandParser

from streaming.engine.diagnosis import Finding, Level, error, findings, ok, warning
from streaming.engine.registry import all_diagnoses

MARKS = {Level.OK: "ok", Level.WARNING: "warning", Level.ERROR: "error"}


class Command(BaseCommand):
    help = "Look at the site: settings, versions, Redis, database, server processes. Exit code: 0 all is well, 1 warnings, 2 errors."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="a JSON document for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        found = [*look_at_settings(), *findings(all_diagnoses())]
        worst = max(finding.level for finding in found)
        if options["json"]:
            rows = [{**asdict(finding), "level": MARKS[finding.level]} for finding in found]
            self.stdout.write(json.dumps({"level": MARKS[worst], "findings": rows}, indent=2))
        else:
            self._write_page(found, worst)
        if worst:
            raise SystemExit(int(worst))

    def _write_page(self, found: list[Finding], worst: Level) -> None:
        styles = {Level.OK: self.style.SUCCESS, Level.WARNING: self.style.WARNING, Level.ERROR: self.style.ERROR}
        width = max(len(finding.subject) for finding in found)
        for finding in sorted(found, key=lambda finding: -finding.level):
            self.stdout.write(f"{styles[finding.level](f'{MARKS[finding.level]:<8}')} {finding.subject:<{width}}  {finding.message}")
            if finding.hint:
                self.stdout.write(f"{'':<8} {'':<{width}}  -> {finding.hint}")
        counts = {level: sum(finding.level is level for finding in found) for level in Level}
        summary = f"{counts[Level.ERROR]} errors, {counts[Level.WARNING]} warnings, {counts[Level.OK]} well"
        self.stdout.write(styles[worst](f"\n{summary}"))


def look_at_settings() -> Iterator[Finding]:
    """What Django's system checks find. Those of `check --deploy` where DEBUG is off: they are about production."""
    every = checks.run_checks(include_deployment_checks=not settings.DEBUG)
    found = [message for message in every if message.level >= checks.WARNING and not message.is_silenced()]
    for message in found:
        make = error if message.level >= checks.ERROR else warning
        yield make(str(message.id), str(message.msg), str(message.hint or ""))
    if settings.DEBUG:
        yield warning("Settings", "Debug mode is on, with errors shown to everybody.", "In production: GEOSTREAM_DEBUG=False")
    elif not found:
        yield ok("Settings", "nothing dangerous: `check --deploy` is clean")
