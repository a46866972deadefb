"""What users may type in."""

import re


class ValidationError(ValueError):
    pass


def check_profile(name, age):
    if len(name) > 10:
        raise ValidationError(f"name {name} is too long")
    if age < 0:
        raise ValidationError(f"age {age} is negative")
    return name, age


def check_parcel(parcel):
    assert parcel["weight"] < 30, parcel["weight"]
    assert parcel["length"] < 200, parcel["length"]
    return parcel


def check_pattern(pattern, text):
    return re.compile(pattern).search(text) is not None


def check_all(fields):
    errors = []
    for name, value in fields.items():
        try:
            check_one(name, value)
        except ValidationError as error:
            errors.append(error)
    if errors:
        raise ExceptionGroup("invalid", errors)


def check_one(name, value):
    if not value:
        raise ValidationError(f"{name} is empty")


class Field:
    def __init__(self, limit):
        self.limit = limit

    def __set_name__(self, owner, name):
        self.name = name

    def __set__(self, instance, value):
        if value > self.limit:
            raise ValidationError(f"{self.name}={value}")
        instance.__dict__[self.name] = value


class Form:
    amount = Field(100)
    count = Field(10)


def fill(amount, count):
    form = Form()
    form.amount = amount
    form.count = count
    return form
