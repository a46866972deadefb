"""The shop as a Django project in one module: settings, views, addresses."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import django
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path

from faulty_shop import shop


class Refusals:
    """Answers refused refunds."""

    def __init__(self, answer: Callable[[HttpRequest], HttpResponse]) -> None:
        self.answer = answer

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.answer(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if isinstance(error, shop.RefundError):
            return HttpResponse("refused", status=500)
        return None


settings.configure(
    SECRET_KEY="for tests",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["watchkeeper.integrations.django"],
    MIDDLEWARE=[
        "watchkeeper.integrations.django.Middleware",
        "django.middleware.common.CommonMiddleware",
        f"{__name__}.Refusals",
    ],
    WATCHKEEPER={"database_url": os.environ["DATABASE"]},
)
django.setup()


def home(request: HttpRequest) -> HttpResponse:
    return HttpResponse("shop")


def quote(request: HttpRequest, sku: str) -> HttpResponse:
    return HttpResponse(shop.quote(sku))


def cart(request: HttpRequest, sku: str) -> HttpResponse:
    return HttpResponse(2 * shop.quote(sku))


def ship(request: HttpRequest) -> HttpResponse:
    return HttpResponse(shop.ship(dict(request.GET.items())))


def quantity(request: HttpRequest, text: str) -> HttpResponse:
    return HttpResponse(shop.quantity(text))


def discount(request: HttpRequest, text: str) -> HttpResponse:
    return HttpResponse(shop.discount(text))


def ratings(request: HttpRequest, sku: str) -> HttpResponse:
    return HttpResponse(shop.average_rating([]))


def ratings_in_thread(request: HttpRequest, sku: str) -> HttpResponse:
    with ThreadPoolExecutor(1) as pool:
        return HttpResponse(pool.submit(shop.average_rating, []).result())


def order(request: HttpRequest, number: str) -> HttpResponse:
    return HttpResponse(shop.load_order(number))


def category(request: HttpRequest, name: str) -> HttpResponse:
    return HttpResponse(shop.breadcrumbs(name))


def notify(request: HttpRequest, number: int) -> HttpResponse:
    shop.notify_all([f"user{at}@shop.example" for at in range(number)])
    return HttpResponse("told")


def register(request: HttpRequest) -> HttpResponse:
    shop.register(request.GET.get("email"), request.GET.get("name"))
    return HttpResponse("welcome")


def refund(request: HttpRequest, number: str) -> HttpResponse:
    shop.refund(number)
    return HttpResponse("paid")


def export(request: HttpRequest, name: str) -> HttpResponse:
    return HttpResponse(shop.export(name))


def stock(request: HttpRequest, sku: str, count: str) -> HttpResponse:
    return HttpResponse(shop.count_stock(sku, int(count)))


def report(request: HttpRequest, month: str) -> StreamingHttpResponse:
    return StreamingHttpResponse(shop.report_lines(month))


def sync(request: HttpRequest, warehouse: str) -> HttpResponse:
    return HttpResponse(shop.sync_stock(warehouse))


def secret(request: HttpRequest) -> HttpResponse:
    raise PermissionDenied


urlpatterns = [
    path("", home),
    path("quote/<sku>", quote),
    path("cart/<sku>", cart),
    path("ship", ship),
    path("quantity/<text>", quantity),
    path("discount/<text>", discount),
    path("ratings/<sku>", ratings),
    path("ratings-in-thread/<sku>", ratings_in_thread),
    path("orders/<number>", order),
    path("categories/<name>", category),
    path("notify/<int:number>", notify),
    path("register", register),
    path("refund/<number>", refund),
    path("export/<name>", export),
    path("stock/<sku>/<count>", stock),
    path("report/<month>", report),
    path("sync/<warehouse>", sync),
    path("secret", secret),
]
app = WSGIHandler()
