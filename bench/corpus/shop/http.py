"""What the shop asks of others."""

import socket

import httpx


def answer(request):
    return httpx.Response(int(request.url.path.rpartition("/")[2]), text=str(request.url))


def call(path):
    with httpx.Client(transport=httpx.MockTransport(answer), base_url="http://pay.invalid") as c:
        response = c.get(path)
        response.raise_for_status()
        return response.text


def stock_level(path):
    with httpx.Client(transport=httpx.MockTransport(answer), base_url="http://pay.invalid") as c:
        return c.get(path).json()["level"]


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def ping(port):
    with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
        return connection.recv(1)
