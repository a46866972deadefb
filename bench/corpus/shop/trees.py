"""Recursion: categories and comments."""


def weight(node):
    total = node["weight"]
    for child in node.get("children", []):
        total += weight(child)
    return total


def is_even(node):
    if "next" not in node:
        return node["end"]
    return is_odd(node["next"])


def is_odd(node):
    if "next" not in node:
        return not node["end"]
    return is_even(node["next"])


def flatten(node):
    return [node["name"], *[name for child in node["children"] for name in flatten(child)]]


def climb(parents, name):
    return climb(parents, parents[name])


def chain(depth):
    node = {}
    for _ in range(depth):
        node = {"next": node}
    return node


def nested(depth):
    node = {"children": []}
    for _ in range(depth):
        node = {"weight": 1, "name": "n", "children": [node]}
    return node
