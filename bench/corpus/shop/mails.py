"""Messages, with retries."""

from shop import util


def send_mail(address):
    def attempt():
        raise ConnectionResetError(f"mail to {address} refused")

    return util.retry(attempt)


def send_text(number):
    def attempt():
        raise ConnectionResetError(f"text to {number} refused")

    return util.retry(attempt, 3)


def may_edit(user, shop):
    util.require(user == shop["owner"], f"{user} may not edit")


def may_delete(user, shop):
    util.require(user == shop["owner"], f"{user} may not delete")
