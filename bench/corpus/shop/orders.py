"""Orders: their states, and how they come in."""

import enum


class InvalidStateError(Exception):
    pass


class OrderError(Exception):
    pass


class NoSuchOrderError(Exception):
    pass


class Plan(enum.Enum):
    FREE = "free"
    PRO = "pro"


class Order:
    def __init__(self, state):
        self.state = state

    def cancel(self):
        if self.state != "open":
            raise InvalidStateError(f"order is {self.state}")
        self.state = "cancelled"

    def refund(self):
        if self.state != "open":
            raise InvalidStateError(f"order is {self.state}")
        self.state = "refunded"


def cancel(state):
    Order(state).cancel()


def refund(state):
    Order(state).refund()


def load_head(data):
    return data["number"], data["customer"]


def load_lines(data):
    return [int(line) for line in data["lines"]]


def import_order(data):
    try:
        head = load_head(data)
        lines = load_lines(data)
    except (KeyError, ValueError) as error:
        raise OrderError(f"cannot import {len(data)} fields") from error
    return head, lines


def fetch(orders, number):
    try:
        return orders[number]
    except KeyError:
        raise NoSuchOrderError(f"order {number}")


def fetch_quietly(orders, number):
    try:
        return orders[number]
    except KeyError:
        raise NoSuchOrderError(f"order {number}") from None


class Unit:
    def __init__(self, journal):
        self.journal = journal

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is not None:
            self.rollback()

    def rollback(self):
        self.journal.pop("begun")


def book(order, journal):
    with Unit(journal):
        order["booked"] = int(order["amount"])


def upgrade(name):
    plan = Plan(name)
    return plan.name


def ship(order):
    if order.get("express"):
        carrier = "fast"
    return carrier, order


def notify(order):
    return render_mail(order["number"])


def render_mail(number, language):
    return f"{language}: {number}"


def archive(orders):
    for number in orders:
        if orders[number] == "closed":
            del orders[number]
