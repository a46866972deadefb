"""The shop as a FastAPI application."""

import os
from concurrent.futures import ThreadPoolExecutor

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import PlainTextResponse, StreamingResponse

import watchkeeper
from faulty_shop import shop

app = FastAPI(default_response_class=PlainTextResponse)


@app.exception_handler(shop.RefundError)
async def refused(request: Request, error: shop.RefundError) -> PlainTextResponse:
    return PlainTextResponse("refused", 500)


@app.get("/")
async def home() -> str:
    return "shop"


@app.get("/quote/{sku}")
async def quote(sku: str) -> str:
    return str(shop.quote(sku))


@app.get("/cart/{sku}")
def cart(sku: str) -> str:
    return str(2 * shop.quote(sku))


@app.get("/ship")
async def ship(request: Request) -> str:
    return str(shop.ship(dict(request.query_params)))


@app.get("/quantity/{text}")
def quantity(text: str) -> str:
    return str(shop.quantity(text))


@app.get("/discount/{text}")
async def discount(text: str) -> str:
    return str(shop.discount(text))


@app.get("/ratings/{sku}")
async def ratings(sku: str) -> str:
    return str(shop.average_rating([]))


@app.get("/ratings-in-thread/{sku}")
def ratings_in_thread(sku: str) -> str:
    with ThreadPoolExecutor(1) as pool:
        return str(pool.submit(shop.average_rating, []).result())


@app.get("/orders/{number}")
async def order(number: str) -> str:
    return str(shop.load_order(number))


@app.get("/categories/{name}")
def category(name: str) -> str:
    return str(shop.breadcrumbs(name))


@app.get("/notify/{number}")
async def notify(number: int) -> str:
    shop.notify_all([f"user{at}@shop.example" for at in range(number)])
    return "told"


@app.get("/register")
def register(email: str | None = None, name: str | None = None) -> str:
    shop.register(email, name)
    return "welcome"


@app.get("/refund/{number}")
async def refund(number: str) -> str:
    shop.refund(number)
    return "paid"


@app.get("/export/{name}")
async def export(name: str) -> str:
    return shop.export(name)


@app.get("/stock/{sku}/{count}")
async def stock(sku: str, count: int) -> str:
    return shop.count_stock(sku, count)


@app.get("/report/{month}")
def report(month: str) -> StreamingResponse:
    return StreamingResponse(shop.report_lines(month))


@app.get("/sync/{warehouse}")
def sync(warehouse: str) -> str:
    return shop.sync_stock(warehouse)


@app.get("/secret")
async def secret() -> str:
    raise HTTPException(403)


watchkeeper.watch(app, watchkeeper.Settings(database_url=os.environ["DATABASE"]))
