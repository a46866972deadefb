"""Code that is made, and code that comes late."""

from pathlib import Path

import jinja2

PAGES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    undefined=jinja2.StrictUndefined,
    autoescape=True,
)


def rejected(number):
    kind = type(f"Rejected_{number}", (Exception,), {"__module__": __name__})
    raise kind(f"rule {number}")


def run_rule(number, facts):
    names = {}
    source = f"def rule_{number}(facts):\n    return facts['age'] > {number}\n"
    exec(compile(source, f"<rule_{number}>", "exec"), names)
    return names[f"rule_{number}"](facts)


def load_rule(number):
    source = f"x = {number}\n" * (number % 7) + f"if x {number}\n"
    return compile(source, f"<rule {number}>", "exec")


def page(name, **values):
    return PAGES.get_template(name).render(**values)


def to_pdf(text):
    import shop_pdf_writer

    return shop_pdf_writer.write(text)


def to_docx(text):
    import shop_docx_writer

    return shop_docx_writer.write(text)


def plugin(name):
    return __import__("shop.util", fromlist=[name]).__dict__[name]()


class Lazy:
    def __getattr__(self, name):
        raise AttributeError(f"lazy has no {name}")


def configure(name):
    return getattr(Lazy(), name)
