"""The style of a layer: drawn, edited by who may, seen by others at once; groups, the legend, and names under the pointer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, StorageState, expect

from ..profiles import only_long
from ..server_process import ServerProcess
from .conftest import MAP
from .contexts import Contexts
from .fleet import Feature, aircraft, renew
from .map_page import OVERLAY, PHONE, MapPage
from .test_accessible import faults

TRACK = f"""(id) => {{
  const {{step, icon, size, label}} = {OVERLAY}.scenes.find(({{tracks}}) => tracks.has(id)).tracks.get(id);
  return {{step, icon, size, label}};
}}"""


def vehicle(id: int, lon: float, lat: float, **properties: Any) -> Feature:
    return {"type": "Feature", "id": f"v{id}", "geometry": {"type": "Point", "coordinates": [lon, lat]}, "properties": properties}


VEHICLES = [
    vehicle(0, 7.1, 46.1, kind="bus", load=10, name="Seven"),
    vehicle(1, 8.1, 46.6, kind="tram", load=90, name="Nine"),
    vehicle(2, 9.1, 47.1, kind="bus", load=50, name="Two"),
]
STYLE = {
    "version": 1,
    "color": {"property": "kind", "type": "match", "cases": [["bus", "#e69f00"], ["tram", "#0072b2"]], "default": "#888888"},
    "size": {"property": "load", "type": "interpolate", "stops": [[0, 10], [100, 30]]},
    "icon": {"property": "kind", "type": "match", "cases": [["bus", "car"]], "default": "square"},
    "label": {"property": "name", "min_zoom": 5},
}


@pytest.fixture(scope="module")
def styled(live_site: ServerProcess) -> ServerProcess:
    """A server with a layer that has a style and a group, besides `flights`, which has none."""
    live_site.publish("vehicles", *VEHICLES)
    return live_site


@pytest.fixture(scope="module")
def editors_page(contexts: Contexts, styled: ServerProcess, logged_in: StorageState) -> Iterator[MapPage]:
    renew(styled)
    with contexts.lend(viewport=MAP, storage_state=logged_in) as context:
        page = MapPage(context.new_page())
        page.open(f"{styled.url}/#map=6.5/46.6/8.0&layers=flights,vehicles")
        yield page


@pytest.fixture
def editing(styled: ServerProcess, editors_page: MapPage) -> Iterator[MapPage]:
    """The map of somebody who may change layers, with the saved style of `vehicles` as it was at first."""
    style(styled, "vehicles", style=STYLE, group="", order=0)
    style(styled, "flights", style=None)
    announce(styled, "vehicles", "flights")
    editors_page.start_over("map=6.5/46.6/8.0")
    editors_page.wait(f"() => ({TRACK})('v0').icon === 'car'")
    editors_page.wait_until_drawn("v1")
    yield editors_page
    editors_page.check()


def style(server: ServerProcess, layer: str, **settings: Any) -> None:
    status, answer = server.request("PATCH", f"/api/layers/{layer}/", settings)
    assert status == 200, answer


def announce(server: ServerProcess, *layers: str) -> None:
    """What a server whose own events are on says itself."""
    for layer in layers:
        payload = {"source": f"layer:{layer}", "event": "layer_changed", "layer": layer}
        server.post("/api/events/", {"event_type": "custom", "payload": payload})


def open_editor(page: MapPage, layer: str) -> Locator:
    page.by_id(f"layer-{layer}-menu").click()
    page.page.get_by_role("button", name="Style…").click()
    editor = page.by_id("style-editor")
    expect(editor).to_be_visible()
    return editor


def saved(server: ServerProcess, layer: str) -> Any:
    return server.request("GET", f"/api/layers/{layer}/")[1]["style"]


def test_colour_size_icon_and_label_are_those_of_the_style(editing: MapPage) -> None:
    assert editing.page.evaluate(TRACK, "v1") == {"step": 1, "icon": "square", "size": 28, "label": "Nine"}
    legend = editing.page.locator("#legend")
    expect(legend.locator("li")).to_have_text(["bus", "tram", "others"])


def test_a_style_that_is_changed_elsewhere_is_drawn_at_once(styled: ServerProcess, editing: MapPage) -> None:
    before = editing.pixels()
    style(styled, "vehicles", style={"version": 1, "color": "#ff0000", "icon": "star"})
    announce(styled, "vehicles")
    editing.wait(f"() => ({TRACK})('v0').icon === 'star'")
    editing.wait_for(lambda: editing.pixels() != before)


def test_a_ramp_is_edited_seen_at_once_and_saved(styled: ServerProcess, editing: MapPage) -> None:
    editor = open_editor(editing, "vehicles")
    before = editing.pixels()
    editor.get_by_label("Colour", exact=True).select_option("by load")
    expect(editor.get_by_label("From", exact=True)).to_have_value("10")
    expect(editor.get_by_label("to", exact=True).first).to_have_value("90")
    editor.get_by_label("Palette").select_option("viridis")
    editor.get_by_label("Icon").select_option("star")
    editing.wait_for(lambda: editing.pixels() != before)
    expect(editing.page.locator("#legend")).to_contain_text("Load")
    assert saved(styled, "vehicles") == STYLE
    editor.get_by_role("button", name="Save").click()
    expect(editor).to_be_hidden()
    color = {"property": "load", "type": "interpolate", "palette": "viridis", "domain": [10, 90]}
    assert saved(styled, "vehicles") == {**STYLE, "color": color, "icon": "star"}
    assert editing.page.evaluate(TRACK, "v0")["icon"] == "star"


def test_categories_are_offered_with_colours_that_all_can_tell_apart(styled: ServerProcess, editing: MapPage) -> None:
    style(styled, "vehicles", style=None)
    announce(styled, "vehicles")
    editing.wait(f"() => ({TRACK})('v0').icon === 'circle'")
    editor = open_editor(editing, "vehicles")
    editor.get_by_label("Colour", exact=True).select_option("by kind")
    editor.get_by_label("tram").fill("#123456")
    editor.get_by_role("button", name="Save").click()
    expect(editor).to_be_hidden()
    color = saved(styled, "vehicles")["color"]
    assert color["cases"] == [["bus", "#0072b2"], ["tram", "#123456"]]


def test_what_is_not_saved_is_given_up(styled: ServerProcess, editing: MapPage) -> None:
    drawn = editing.page.evaluate(TRACK, "v0")
    editor = open_editor(editing, "vehicles")
    editor.get_by_label("Icon").select_option("ship")
    editing.wait(f"() => ({TRACK})('v0').icon === 'ship'")
    editor.get_by_role("button", name="Reset").click()
    assert editing.page.evaluate(TRACK, "v0") == drawn
    editor.get_by_label("Icon").select_option("ship")
    editing.page.keyboard.press("Escape")
    expect(editor).to_be_hidden()
    expect(editing.by_id("layer-vehicles-menu")).to_be_focused()
    assert editing.page.evaluate(TRACK, "v0") == drawn and saved(styled, "vehicles") == STYLE


def test_a_range_that_goes_downwards_cannot_be_saved(editing: MapPage) -> None:
    editor = open_editor(editing, "vehicles")
    editor.get_by_label("Colour", exact=True).select_option("by load")
    editor.get_by_label("From", exact=True).fill("500")
    expect(editor.get_by_role("alert")).to_contain_text("upwards")
    expect(editor.get_by_role("button", name="Save")).to_be_disabled()
    editing.page.keyboard.press("Escape")


def test_a_style_is_taken_away(styled: ServerProcess, editing: MapPage) -> None:
    editor = open_editor(editing, "vehicles")
    editor.get_by_role("button", name="No style").click()
    expect(editor).to_be_hidden()
    assert saved(styled, "vehicles") is None
    assert editing.page.evaluate(TRACK, "v0")["icon"] == "circle"


def test_it_is_edited_with_the_keyboard(styled: ServerProcess, editing: MapPage) -> None:
    editing.by_id("layer-vehicles-menu").focus()
    editing.page.keyboard.press("Enter")
    editing.page.keyboard.press("Tab")
    expect(editing.page.get_by_role("button", name="Style…")).to_be_focused()
    editing.page.keyboard.press("Enter")
    editor = editing.by_id("style-editor")
    expect(editor.get_by_label("Colour", exact=True)).to_be_focused()
    editing.page.keyboard.press("ArrowUp")
    for _ in range(30):
        editing.page.keyboard.press("Tab")
        if editing.page.evaluate("document.activeElement.textContent") == "Save":
            break
    editing.page.keyboard.press("Enter")
    expect(editor).to_be_hidden()
    assert saved(styled, "vehicles") != STYLE


@pytest.mark.long_form(only=True)
def test_who_may_not_change_the_layer_has_no_editor(styled: ServerProcess, live: MapPage) -> None:
    live.by_id("layer-vehicles-menu").click()
    expect(live.page.get_by_role("button", name="Zoom to it")).to_be_visible()
    expect(live.page.get_by_role("button", name="Style…")).to_have_count(0)
    live.page.keyboard.press("Escape")


@pytest.mark.parametrize("scheme", ["light", only_long("dark")])
def test_the_editor_is_accessible_and_fits_a_phone(
    styled: ServerProcess, open_map: Callable[..., MapPage], logged_in: StorageState, scheme: str
) -> None:
    style(styled, "vehicles", style=STYLE)
    page = open_map(styled, "map=6.5/46.6/8.0&layers=vehicles", storage_state=logged_in, color_scheme=scheme, **PHONE)
    page.wait_until_drawn("v1")
    page.page.locator("#panel-toggle").tap()
    page.by_id("layer-vehicles-menu").tap()
    page.page.get_by_role("button", name="Style…").tap()
    expect(page.by_id("style-editor")).to_be_visible()
    expect(page.page.locator("#panel-body")).to_be_hidden()
    assert not faults(page)
    assert page.page.evaluate("document.querySelector('.style-fields').scrollWidth <= document.querySelector('.style-fields').clientWidth")
    box = page.by_id("style-editor").bounding_box()
    assert box and (box["x"], box["width"], box["y"] + box["height"]) == (0, 390, 844)


@pytest.mark.long_form(only=True)
def test_the_buttons_of_the_editor_are_inside_of_it_in_german(
    styled: ServerProcess, open_map: Callable[..., MapPage], logged_in: StorageState
) -> None:
    page = open_map(styled, "map=6.5/46.6/8.0&layers=vehicles", storage_state=logged_in, locale="de-DE")
    page.by_id("layer-vehicles-menu").click()
    page.page.get_by_role("button", name="Stil …").click()
    buttons = [each.bounding_box() for each in page.page.locator(".style-buttons .button").all()]
    editor = page.by_id("style-editor").bounding_box()
    assert editor and len(buttons) == 3
    assert all(each and each["x"] + each["width"] <= editor["x"] + editor["width"] for each in buttons)
    assert len({each["y"] for each in buttons if each}) == 1  # side by side


def test_layers_are_grouped_and_ordered_and_stay_folded(styled: ServerProcess, editing: MapPage) -> None:
    style(styled, "vehicles", group="On the road", order=-1)
    announce(styled, "vehicles")
    group = editing.page.locator(".layer-group")
    expect(group.locator("summary")).to_contain_text("On the road")
    expect(group.locator(".group-note")).to_have_text("1 of 1")
    expect(group.get_by_test_id("layer-vehicles-toggle")).to_be_visible()
    group.locator("summary").click()
    expect(group.get_by_test_id("layer-vehicles-toggle")).to_be_hidden()
    editing.reload()
    expect(editing.page.locator(".layer-group summary")).to_be_visible()
    expect(editing.by_id("layer-vehicles-toggle")).to_be_hidden()
    editing.page.locator(".layer-group summary").click()
    style(styled, "vehicles", group="", order=5)
    announce(styled, "vehicles")
    expect(editing.page.locator(".layer-group")).to_have_count(0)
    expect(editing.page.locator("#layers .layer-title")).to_have_text(["flights", "vehicles"])


@pytest.mark.long_form(only=True)
def test_the_legend_folds_and_stays_folded(editing: MapPage) -> None:
    legend = editing.page.locator("#legend")
    expect(legend.locator("li").first).to_be_visible()
    legend.locator("summary").click()
    expect(legend.locator("li").first).to_be_hidden()
    editing.reload()
    expect(legend.locator("summary")).to_be_visible()
    expect(legend.locator("li").first).to_be_hidden()
    legend.locator("summary").click()
    expect(legend.locator("li").first).to_be_visible()


def test_what_is_under_the_pointer_is_named_with_its_telling_value(editing: MapPage) -> None:
    editing.wait_until_drawn("v0")
    editing.page.mouse.move(*editing.where(7.1, 46.1))
    label = editing.by_id("hover-label")
    expect(label).to_have_text(re.compile("Seven.*bus"))
    editing.page.mouse.move(*editing.where(7.6, 45.7))
    expect(label).to_be_hidden()


def test_what_has_the_focus_in_the_table_is_named_on_the_map(editing: MapPage) -> None:
    editing.by_id("in-view").locator("summary").click()
    row = editing.by_id("in-view").get_by_role("button", name="Nine")
    row.focus()
    expect(editing.by_id("hover-label")).to_have_text(re.compile("Nine.*tram"))
    editing.page.evaluate("document.activeElement.blur()")
    expect(editing.by_id("hover-label")).to_be_hidden()
    editing.by_id("in-view").locator("summary").click()


@pytest.mark.long_form(only=True)
def test_a_style_of_a_layer_that_is_not_there_any_more_closes_the_editor(styled: ServerProcess, editing: MapPage) -> None:
    styled.publish("passing", aircraft("p1", 8, 46.9))
    payload = {"source": "layer:passing", "event": "layer_created", "layer": "passing"}
    styled.post("/api/events/", {"event_type": "custom", "payload": payload})
    expect(editing.by_id("layer-passing-menu")).to_be_visible()
    editor = open_editor(editing, "passing")
    expect(editor.get_by_label("Direction")).to_contain_text("by track")
    styled.request("DELETE", "/api/layers/passing/")
    styled.post("/api/events/", {"event_type": "custom", "payload": {**payload, "event": "layer_removed"}})
    expect(editor).to_be_hidden()
