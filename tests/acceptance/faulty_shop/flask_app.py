"""The shop as a Flask application."""

import os
from concurrent.futures import ThreadPoolExecutor

from flask import Flask, Response, abort, request

import watchkeeper
from faulty_shop import shop

app = Flask(__name__)


@app.errorhandler(shop.RefundError)
def refused(error: shop.RefundError) -> tuple[str, int]:
    return "refused", 500


@app.get("/")
def home() -> str:
    return "shop"


@app.get("/quote/<sku>")
def quote(sku: str) -> str:
    return str(shop.quote(sku))


@app.get("/cart/<sku>")
def cart(sku: str) -> str:
    return str(2 * shop.quote(sku))


@app.get("/ship")
def ship() -> str:
    return str(shop.ship(request.args.to_dict()))


@app.get("/quantity/<text>")
def quantity(text: str) -> str:
    return str(shop.quantity(text))


@app.get("/discount/<text>")
def discount(text: str) -> str:
    return str(shop.discount(text))


@app.get("/ratings/<sku>")
def ratings(sku: str) -> str:
    return str(shop.average_rating([]))


@app.get("/ratings-in-thread/<sku>")
def ratings_in_thread(sku: str) -> str:
    with ThreadPoolExecutor(1) as pool:
        return str(pool.submit(shop.average_rating, []).result())


@app.get("/orders/<number>")
def order(number: str) -> str:
    return str(shop.load_order(number))


@app.get("/categories/<name>")
def category(name: str) -> str:
    return str(shop.breadcrumbs(name))


@app.get("/notify/<int:number>")
def notify(number: int) -> str:
    shop.notify_all([f"user{at}@shop.example" for at in range(number)])
    return "told"


@app.get("/register")
def register() -> str:
    shop.register(request.args.get("email"), request.args.get("name"))
    return "welcome"


@app.get("/refund/<number>")
def refund(number: str) -> str:
    shop.refund(number)
    return "paid"


@app.get("/export/<name>")
def export(name: str) -> str:
    return shop.export(name)


@app.get("/stock/<sku>/<count>")
def stock(sku: str, count: str) -> str:
    return shop.count_stock(sku, int(count))


@app.get("/report/<month>")
def report(month: str) -> Response:
    return Response(shop.report_lines(month))


@app.get("/sync/<warehouse>")
def sync(warehouse: str) -> str:
    return shop.sync_stock(warehouse)


@app.get("/secret")
def secret() -> str:
    abort(403)


watchkeeper.watch(app, watchkeeper.Settings(database_url=os.environ["DATABASE"]))
