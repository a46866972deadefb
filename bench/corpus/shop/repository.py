"""The database: a real SQLite one in memory."""

import sqlite3


class NotFoundError(Exception):
    pass


def connect():
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE users (email TEXT UNIQUE, name TEXT NOT NULL)")
    db.execute("INSERT INTO users VALUES ('a@shop.example', 'a')")
    db.execute("INSERT INTO users VALUES ('b@shop.example', 'b')")
    return db


def add_user(email, name):
    db = connect()
    with db:
        db.execute("INSERT INTO users (email, name) VALUES (?, ?)", (email, name))
    return db


def count_rows(table):
    db = connect()
    return db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


class Base:
    def __init__(self, rows):
        self.rows = rows

    def get_or_raise(self, key):
        if key not in self.rows:
            raise NotFoundError(f"{key} not found")
        return self.rows[key]


class Repository(Base):
    def load_user(self, key):
        return self.get_or_raise(("user", key))

    def load_cart(self, key):
        return self.get_or_raise(("cart", key))


def user(key):
    return Repository({}).load_user(key)


def cart_of(key):
    return Repository({}).load_cart(key)
