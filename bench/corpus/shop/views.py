"""Views that fail by themselves, without a service below."""


def page_size(query):
    return {"size": 100 // int(query["size"])}


def page_start(query):
    size = int(query["size"])
    return {"start": 100 // (size - 1)}


def tags(query):
    chosen = [tag for tag in query["tags"] if tag.startswith("a")]
    first = query["tags"][9]
    return {"chosen": chosen, "first": first}


def filters(query):
    wanted = query["filter"]["name"]
    order = query["order"]["name"]
    return {"wanted": wanted, "order": order}
