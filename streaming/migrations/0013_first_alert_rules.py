"""The alert rules that a site begins with."""

from django.db import migrations

RULES = (
    {
        "name": "Process silent",
        "measure": "geostream_nodes_lost_total",
        "scope": "site",
        "bound": 0,
        "for_seconds": 0,
        "clear_seconds": 300,
        "severity": "critical",
        "advice": "A server process ended without a word, or hung for longer than GEOSTREAM_NODE_TTL_SECONDS. Look into its log and the "
        "system's (out of memory?); whoever runs it should have started it again.",
    },
    {
        "name": "Event loop late",
        "measure": "geostream_loop_lag_seconds",
        "bound": 0.5,
        "for_seconds": 30,
        "clear_bound": 0.2,
        "clear_seconds": 60,
        "advice": "The process has more to do than one core can, or something blocks it: the log says what (\"the event loop was held up\"). "
        "Run more processes, or find who publishes or asks for so much.",
    },
    {
        "name": "Feed lagging",
        "measure": "geostream_feed_lag",
        "bound": 10_000,
        "for_seconds": 30,
        "clear_bound": 1000,
        "clear_seconds": 60,
        "advice": "Changes arrive faster than the process reads them. Look for the layer that is published to most, and for a slow Redis.",
    },
)


def add(apps, schema_editor):
    """Add those whose name is free."""
    rules = apps.get_model("streaming", "AlertRule").objects.using(schema_editor.connection.alias)
    for rule in RULES:
        rules.get_or_create(name=rule["name"], defaults=rule)


class Migration(migrations.Migration):
    dependencies = [("streaming", "0012_alerts")]
    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
