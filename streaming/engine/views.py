"""The views for load balancers (alive, ready) and for monitoring (metrics)."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from secrets import compare_digest

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from streaming.core.errors import StreamError

from .auth import bearer_token
from .conf import conf
from .lifespan import get_runtime
from .metrics import MetricsService
from .readiness import readiness
from .responses import refusal

OF_PROXIES = ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via")


async def alive(request: HttpRequest) -> HttpResponse:
    """200 while the process answers."""
    return HttpResponse("ok\n", content_type="text/plain")


async def ready(request: HttpRequest) -> HttpResponse:
    """200 when the process can serve, else 503, with what is well and what is not."""
    checks = await readiness()
    return JsonResponse({"ready": all(checks.values()), "checks": checks}, status=200 if all(checks.values()) else 503)


@require_safe
async def metrics(request: HttpRequest) -> HttpResponse:
    """The metrics of all live processes; with `?scope=process`, of the one that answers."""
    if not await _may_scrape(request):
        return refusal(
            StreamError("forbidden", "metrics are for clients with the GEOSTREAM_METRICS_TOKEN; without one, for staff and this machine")
        )
    try:
        runtime = await get_runtime()
    except StreamError as error:
        return refusal(error)
    text, content_type = await runtime.service(MetricsService).exposition.answer(
        request.headers.get("Accept", ""), request.GET.get("scope") != "process"
    )
    return HttpResponse(text, content_type=content_type, headers={"Cache-Control": "no-store"})


async def _may_scrape(request: HttpRequest) -> bool:
    if conf.METRICS_TOKEN:
        return compare_digest((bearer_token(request) or "").encode(), conf.METRICS_TOKEN.encode())
    if from_this_machine(request):
        return True
    user = await request.auser()
    return user.is_active and user.is_staff


def from_this_machine(request: HttpRequest) -> bool:
    """Whether the peer is on this machine, and does not speak for somebody else as proxies do."""
    if any(header in request.headers for header in OF_PROXIES):
        return False
    try:
        address = ip_address(request.META.get("REMOTE_ADDR", ""))
    except ValueError:  # a name, or the socket of a proxy
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback
