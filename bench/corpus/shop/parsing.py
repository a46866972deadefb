"""What comes in as text."""

import configparser
import csv
import json
import struct
from datetime import datetime


def payload(text):
    data = json.loads(text)
    return data["items"]


def day(text):
    return datetime.strptime(text, "%Y-%m-%d").date()


def numbers(texts):
    return [int(text) for text in texts if text]


def by_rank(rows):
    return sorted(rows, key=lambda row: row["rank"] + 0)


def by_name(rows):
    return sorted(rows, key=lambda row: row["name"].lower())


def decode(data):
    return data.decode("utf-8").split(",")


def pairs(text):
    found = {}
    for line in csv.reader(text.splitlines()):
        name, value = line
        found[name] = value
    return found


def header(data):
    size, kind = struct.unpack("<IH", data[:6])
    return size, kind


def option(text, name):
    parser = configparser.ConfigParser()
    parser.read_string(text)
    return parser.get("shop", name)


def records(lines):
    for line in lines:
        name, _, amount = line.partition("=")
        yield name, float(amount)


def sum_of(lines):
    return sum(amount for _, amount in records(lines))


def first_record(lines):
    return dict(records(lines))
