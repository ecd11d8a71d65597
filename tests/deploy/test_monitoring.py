"""The rules for Prometheus and the Grafana dashboard ask only for metrics and labels that there are, in the way of their type."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.process_collector import ProcessCollector

from streaming.engine.metrics import CODES
from streaming.engine.registry import all_dialects, all_measures

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((DEPLOY / "prometheus-rules.yml").read_text())["groups"] for rule in group["rules"]
]
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
TARGETS = [target for panel in PANELS for target in panel.get("targets", [])]
QUERY = DASHBOARD["templating"]["list"][1]["query"]["query"]
EXPRESSIONS = sorted({*(rule["expr"] for rule in RULES), *(target["expr"] for target in TARGETS)})

OF_SCRAPES = {"job", "instance", "node"}
WORDS = {"sum", "count", "min", "max", "by", "rate", "increase", "label_values", "and", "or", "unless", "on"}
SYSTEM = {sample.name: metric.type for metric in ProcessCollector(registry=None).collect() for sample in metric.samples}
LABELS = {measure.name: {*measure.labels, *OF_SCRAPES} for measure in all_measures()}
LABELS |= dict.fromkeys((*SYSTEM, "up"), OF_SCRAPES)
TYPES = {measure.name: measure.kind for measure in all_measures()} | SYSTEM | {"up": "gauge"}


def names(expression: str) -> list[str]:
    """The names of metrics in an expression: whatever is not a label, a number, a duration or a word of the language."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^]]*\]|by \([^)]*\)', " ", expression)
    return [word for word in re.findall(r"(?<![\w.])[a-z_]\w*", bare) if word not in WORDS]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_asks_for_metrics_that_there_are(expression: str) -> None:
    metrics = names(expression)
    assert metrics
    assert [name for name in metrics if name not in TYPES] == []
    used = set(re.findall(r'(\w+)(?:=~|!~|!=|=)"', expression))
    for listed in re.findall(r"by \(([^)]*)\)", expression):
        used |= {label.strip() for label in listed.split(",")}
    for name in metrics:
        assert used <= LABELS[name], name
    assert set(re.findall(r'code="(\w+)"', expression)) <= set(CODES)
    assert set(re.findall(r'dialect="(\w+)"', expression)) <= set(all_dialects())
    opened = [expression.count(bracket) - expression.count(other) for bracket, other in ("()", "{}", "[]")]
    assert opened == [0, 0, 0]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_counters_are_asked_for_their_growth_and_gauges_for_their_values(expression: str) -> None:
    grown = set(re.findall(r"(?:rate|increase)\((\w+)(?:\{[^}]*\})?\[", expression))
    assert {name for name in names(expression) if TYPES[name] == "counter"} == grown


def test_legends_name_labels_that_an_expression_leaves() -> None:
    for target in TARGETS:
        by = re.search(r"by \(([^)]*)\)", target["expr"])
        left = {label.strip() for label in by[1].split(",")} if by else LABELS[names(target["expr"])[0]]
        assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= left, target


def test_texts_of_alerts_name_labels_that_their_expression_leaves() -> None:
    for rule in RULES:
        by = re.search(r"by \(([^)]*)\)", rule["expr"])
        left = {label.strip() for label in by[1].split(",")} if by else set() if "sum(" in rule["expr"] else OF_SCRAPES
        assert set(re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"]))) <= left, rule["alert"]
        assert rule["labels"]["severity"] in ("warning", "critical") and re.fullmatch(r"\d+[sm]", rule["for"])


def test_the_dashboard_asks_for_its_data_source_and_has_no_panel_twice() -> None:
    assert names(QUERY)[0] == "geostream_node_info"
    ids = [panel["id"] for panel in PANELS]
    assert sorted(set(ids)) == sorted(ids)
    assert {target["datasource"]["uid"] for target in TARGETS} == {"${datasource}"}


def test_panels_do_not_overlap() -> None:
    taken = set[tuple[int, int]]()
    for panel in PANELS:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken and at["x"] + at["w"] <= 24, panel["title"]
        taken |= cells


def test_each_alert_of_the_docs_is_among_the_rules() -> None:
    text = (DEPLOY.parent / "docs" / "metrics.md").read_text().partition("| worth an alert |")[2]
    documented = [" ".join(row.split()) for row in re.findall(r"^\| `([^`]+)` \|", text, re.M)]
    assert documented
    wanted = {tuple(sorted({*names(expression)} - {"up"})) for expression in documented}
    assert wanted <= {tuple(sorted({*names(rule["expr"])})) for rule in RULES}


@pytest.mark.parametrize("path", sorted(path for path in DEPLOY.iterdir() if path.is_file()), ids=lambda path: path.name)
def test_settings_in_files_of_deployment_exist(path: Path) -> None:
    documents = "".join((DEPLOY.parent / "docs" / name).read_text() for name in ("settings.md", "deploy.md"))
    found = set(re.findall(r"\bGEOSTREAM_[A-Z_]*[A-Z]\b", path.read_text()))
    assert [name for name in found if f"| `{name}` |" not in documents] == []
