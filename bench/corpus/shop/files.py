"""What lies on the disk."""

import os


def read_upload(folder, name):
    descriptor = os.open(os.path.join(folder, name), os.O_RDONLY | os.O_NOFOLLOW)
    try:
        return os.read(descriptor, 10)
    finally:
        os.close(descriptor)


def save_export(path, data):
    with open(path, "w") as file:
        file.write(data)


def read_settings(path):
    with open(path) as file:
        return file.read()
