"""Who did what; a repository method with a bug of its own, called from two services."""

import json


def entry(actor, details):
    return json.dumps({"actor": actor, "details": details})


def record(actor, details):
    return [entry(actor, details)]


def record_login(user, at):
    return record(user, {"login": at})


def record_sale(seller, items):
    rows = record(seller, {"sold": items})
    return len(rows)


def summary(rows):
    return rows["total"] / rows["days"]
