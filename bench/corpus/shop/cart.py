"""The cart: lines of a sku, a quantity and a price."""

from shop import util


class Cart:
    def __init__(self, lines):
        self.lines = lines

    def average(self):
        total = sum(line["price"] for line in self.lines)
        return total / len(self.lines)

    def discount_share(self, discount):
        total = sum(line["price"] for line in self.lines)
        return discount / total

    def first(self):
        return self.lines[0]

    def last(self):
        return self.lines[-1]

    def total(self):
        result = 0
        for line in self.lines:
            result += line["price"] * line["quantity"]
        return result

    def __getitem__(self, sku):
        for line in self.lines:
            if line["sku"] == sku:
                return line
        raise LookupError(f"no line for {sku}")


def average_price(lines):
    return Cart(lines).average()


def share(lines, discount):
    return Cart(lines).discount_share(discount)


def head(lines):
    return Cart(lines).first()


def tail(lines):
    return Cart(lines).last()


def total_of(lines):
    return Cart(lines).total()


def quantity_of(lines, sku):
    return Cart(lines)[sku]["quantity"]


def parse_quantity(row):
    quantity = util.to_int(row["quantity"])
    return max(quantity, 1)


def parse_price(row):
    price = util.to_int(row["price"])
    return price * 100


def parse_line(row):
    return {"quantity": parse_quantity(row), "price": parse_price(row)}


def merge(left, right):
    merged = dict(left)
    for sku, quantity in right.items():
        merged[sku] += quantity
    return merged
