"""The bugs of the corpus: how each is reached, with three sets of values.

Many lie close to one another on purpose: two statements of one function, one helper used from two
places, one type in two methods, two causes, two constraints. What is one bug was decided by who
would fix it, where, before any grouping was looked at.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Bug:
    """One thing to fix; `calls` are expressions over the modules of the shop that run into it.

    `view`: the failing code is an endpoint itself, so it has no other entry point. `elsewhere`: a
    call of the same bug through another service, instead of the first call. `is_async`: the calls
    are coroutines.
    """

    name: str
    calls: tuple[str, ...]
    view: bool = False
    is_async: bool = False
    elsewhere: str = ""


def _bug(name: str, *calls: str, elsewhere: str = "") -> Bug:
    return Bug(name=name, calls=calls, elsewhere=elsewhere)


def _view(name: str, *calls: str) -> Bug:
    return Bug(name=name, calls=calls, view=True)


def _flow(name: str, *calls: str) -> Bug:
    return Bug(name=name, calls=calls, is_async=True)


BUGS: Final[tuple[Bug, ...]] = (
    _bug(
        "price: sku",
        *(f"catalog.price_of('{sku}', 'EUR')" for sku in ("SKU-1", "SKU-2", "x y")),
    ),
    _bug(
        "price: currency",
        *(f"catalog.price_of('tea', '{name}')" for name in ("GBP", "JPY", "?")),
    ),
    _bug("describe: none", *(f"catalog.describe('{sku}')" for sku in ("pot", "pan", ""))),
    _bug("label: none", *(f"catalog.label('{sku}')" for sku in ("pot", "pan", ""))),
    _bug(
        "translation: language",
        *(f"catalog.translation('tea', '{name}')" for name in ("fr", "it", "es")),
    ),
    _bug(
        "shipping: weight",
        "catalog.shipping('tea', None)",
        "catalog.shipping('tea', 'heavy')",
        "catalog.shipping('cup', [2])",
    ),
    _bug(
        "product: bad sku",
        *(f"catalog.make({{'sku': {sku!r}, 'name': 'n'}})" for sku in ("a b", "7", "-")),
    ),
    _bug(
        "product: unknown field",
        *(f"catalog.make({{'sku': 'a', 'name': 'n', '{name}': 1}})" for name in ("x", "y", "z")),
    ),
    _bug("taxed: not decimal", *(f"catalog.taxed('{text}')" for text in ("4,50", "4 EUR", "x"))),
    _bug("cheapest: no price", *(f"catalog.cheapest([{{'s': {i}}}])" for i in range(3))),
    _bug("dearest: no price", *(f"catalog.dearest([{{'s': {i}}}])" for i in range(3))),
    _bug("cart: average of none", "cart.average_price([])", "cart.average_price(())"),
    _bug(
        "cart: share of nothing",
        "cart.share([], 5)",
        "cart.share([{'price': 0}], 2)",
        "cart.share((), 1.5)",
    ),
    _bug("cart: first of none", "cart.head([])", "cart.head(())"),
    _bug("cart: last of none", "cart.tail([])", "cart.tail(())"),
    _bug(
        "cart: no quantity",
        "cart.total_of([{'price': 1}])",
        "cart.total_of([{'price': 1, 'quantity': 2}, {'price': 5}])",
    ),
    _bug(
        "cart: no such line",
        *(f"cart.quantity_of([], '{sku}')" for sku in ("tea", "cup", "SKU-1")),
    ),
    _bug(
        "cart: quantity is no number",
        *(f"cart.parse_line({{'quantity': '{q}', 'price': '1'}})" for q in ("two", "1x", "")),
    ),
    _bug(
        "cart: price is no number",
        *(f"cart.parse_line({{'quantity': '2', 'price': '{p}'}})" for p in ("free", "1.5", "")),
    ),
    _bug(
        "cart: merge of another sku", *(f"cart.merge({{}}, {{'{s}': 1}})" for s in ("tea", "cup"))
    ),
    _bug("order: cancel", *(f"orders.cancel('{state}')" for state in ("shipped", "closed"))),
    _bug("order: refund", *(f"orders.refund('{state}')" for state in ("shipped", "closed"))),
    _bug(
        "order: import without a head",
        "orders.import_order({})",
        "orders.import_order({'number': 1})",
        "orders.import_order({'number': 2, 'lines': []})",
    ),
    _bug(
        "order: import of bad lines",
        *(
            f"orders.import_order({{'number': 1, 'customer': 2, 'lines': ['{text}']}})"
            for text in ("a", "", "1.0")
        ),
    ),
    _bug("order: fetch", *(f"orders.fetch({{}}, {number})" for number in (17, 42, "'x'"))),
    _bug(
        "order: fetch quietly",
        *(f"orders.fetch_quietly({{}}, {number})" for number in (17, 42, "'x'")),
    ),
    _bug(
        "order: rollback without a journal entry",
        "orders.book({}, {})",
        "orders.book({'amount': 'x'}, {})",
        "orders.book({'amount': None}, {})",
    ),
    _bug("order: no such plan", *(f"orders.upgrade('{name}')" for name in ("gold", "", "Pro"))),
    _bug("order: unbound carrier", "orders.ship({})", "orders.ship({'express': False})"),
    _bug("order: missing argument", *(f"orders.notify({{'number': {n}}})" for n in (1, 22))),
    _bug(
        "order: changed while iterating",
        "orders.archive({1: 'closed', 2: 'open'})",
        "orders.archive({5: 'open', 7: 'closed', 9: 'closed'})",
    ),
    _bug("profile: name", *(f"validation.check_profile('{c * 12}', 3)" for c in ("a", "b", "é"))),
    _bug("profile: age", *(f"validation.check_profile('a', {age})" for age in (-1, -20, -0.5))),
    _bug(
        "parcel: weight",
        *(f"validation.check_parcel({{'weight': {w}, 'length': 1}})" for w in (30, 31, 999.5)),
    ),
    _bug(
        "parcel: length",
        *(f"validation.check_parcel({{'weight': 1, 'length': {n}}})" for n in (200, 201, 999.5)),
    ),
    _bug("pattern", *(f"validation.check_pattern({text!r}, 'x')" for text in ("(", "[a", "*a"))),
    _bug(
        "fields: empty",
        "validation.check_all({'a': ''})",
        "validation.check_all({'a': '', 'b': None})",
        "validation.check_all({'a': 1, 'b': '', 'c': '', 'd': 0})",
    ),
    _bug("form: amount", *(f"validation.fill({n}, 1)" for n in (101, 500, 7000))),
    _bug("form: count", *(f"validation.fill(1, {n})" for n in (11, 12, 99))),
    _bug("payload: no json", *(f"parsing.payload({text!r})" for text in ("", "{", "[1,"))),
    _bug("payload: no items", *(f"parsing.payload({text!r})" for text in ("{}", '{"a": 1}'))),
    _bug("day", *(f"parsing.day('{text}')" for text in ("2024-13-01", "x", "1.1.2024"))),
    _bug("numbers", *(f"parsing.numbers({texts!r})" for texts in (["a"], ["1", "b"], ["", "-"]))),
    _bug("rank: none", *(f"parsing.by_rank([{{'rank': {v}}}])" for v in ("None", "'x'"))),
    _bug("name: none", *(f"parsing.by_name([{{'name': {v}}}])" for v in ("None", "1"))),
    _bug("decode", *(f"parsing.decode({data!r})" for data in (b"\xff", b"abc\xe9", b"\x80a"))),
    _bug(
        "csv: not a pair",
        "parsing.pairs('a,b,c')",
        "parsing.pairs('a')",
        "parsing.pairs('a,b\\nc')",
    ),
    _bug("header: short", *(f"parsing.header({data!r})" for data in (b"", b"a", b"abc"))),
    _bug("option: no section", "parsing.option('', 'x')", "parsing.option('[web]', 'y')"),
    _bug("option: no option", "parsing.option('[shop]', 'x')", "parsing.option('[shop]', 'y')"),
    _bug("sum: no amount", "parsing.sum_of(['a'])", "parsing.sum_of(['a=1', 'b=x'])"),
    _bug("user: unique e-mail", *(f"repository.add_user('{c}@shop.example', 'n')" for c in "ab")),
    _bug("user: no name", *(f"repository.add_user('{c}@shop.example', None)" for c in "xyz")),
    _bug(
        "rows: no such table", "repository.count_rows('carts')", "repository.count_rows('carts ')"
    ),
    _bug(
        "rows: syntax",
        "repository.count_rows('users WHERE IN (1,2)')",
        "repository.count_rows('users WHERE IN (1,2,3)')",
    ),
    _bug("user: not found", *(f"repository.user({key})" for key in (1, 22, "'a'"))),
    _bug("cart: not found", *(f"repository.cart_of({key})" for key in (1, 22, "'a'"))),
    _bug(
        "audit: not for json",
        *(f"audit.record_login('a', {value})" for value in ("{1}", "object()", "b'x'")),
        elsewhere="audit.record_sale('b', {2})",
    ),
    _bug(
        "audit: no days",
        *(f"accounts.overview({{'total': {n}, 'days': 0}})" for n in (1, 22, 5.5)),
        elsewhere="audit.summary({'total': 3, 'days': 0})",
    ),
    _bug(
        "report: no amount",
        "accounts.month_end([{'month': 1}])",
        "accounts.month_end([{'month': 1, 'amount': 2}, {'month': 2}])",
    ),
    _bug("upload: name too long", *(f"files.read_upload('/', '{c * 300}')" for c in "ab")),
    _bug("upload: a link", *(f"files.read_upload('/proc/self', '{c}')" for c in ("exe", "cwd"))),
    _bug("export: disk full", *(f"files.save_export('/dev/full', '{c}')" for c in "ab")),
    _bug("settings: missing", *(f"files.read_settings('/nowhere/{c}.toml')" for c in "ab")),
    _bug("call: 500", *(f"http.call('/{c}/500')" for c in "abc")),
    _bug("call: 404", *(f"http.call('/{c}/404')" for c in "abc")),
    _bug("stock: not json", *(f"http.stock_level('/{c}/200')" for c in "abc")),
    _bug("ping: refused", "http.ping(http.free_port())", "http.ping(http.free_port())"),
    _bug("mail: retries", *(f"mails.send_mail('{c}@shop.example')" for c in "abc")),
    _bug("text: retries", *(f"mails.send_text('{n}')" for n in (1, 22, 333))),
    _bug("may edit", *(f"mails.may_edit('{c}', {{'owner': 1}})" for c in "abc")),
    _bug("may delete", *(f"mails.may_delete('{c}', {{'owner': 1}})" for c in "abc")),
    _bug("quarter: too few", "reports.quarterly([])", "reports.quarterly([{'month': 1}])"),
    _bug("growth: from nothing", *(f"reports.growth([0, {n}, 2])" for n in (1, 2, 3))),
    _bug("chunks: no values", *(f"reports.parallel([{{'a': {n}}}])" for n in (1, 2))),
    _bug("show: unknown kind", *(f"reports.show({v})" for v in ("'a'", "None", "[1]"))),
    _bug("pdf: not written yet", "reports.export('pdf')", "reports.export('pdf')"),
    _bug("xml: no source", "reports.export('xml')", "reports.export('xml')"),
    _bug("pages: of size 0", *(f"reports.paginate([{n}], 0)" for n in (1, 2))),
    _bug("table: uneven", "reports.table([['a'], ['b', 'c']])", "reports.table([['a', 'b'], []])"),
    _bug("tree: no weight", *(f"trees.weight(trees.nested({n}))" for n in (1, 3, 60))),
    _bug("tree: no name", *(f"trees.flatten(trees.nested({n}))" for n in (1, 3, 60))),
    _bug("even or odd", *(f"trees.is_even(trees.chain({n}))" for n in (3, 5, 41))),
    _bug(
        "climb: a circle",
        "trees.climb({'a': 'a'}, 'a')",
        "trees.climb({'a': 'b', 'b': 'a'}, 'a')",
    ),
    _bug("rejected", *(f"plugins.rejected({n})" for n in (17, 42, 105))),
    _bug("rule: no age", *(f"plugins.run_rule({n}, {{}})" for n in (17, 42, 105))),
    _bug("rule: syntax", *(f"plugins.load_rule({n})" for n in (17, 42, 105))),
    _bug("order page", *(f"plugins.page('order.html', order={{'number': {n}}})" for n in (1, 2))),
    _bug(
        "invoice page",
        *(f"plugins.page('invoice.html', invoice={{'number': {n}}})" for n in (1, 2)),
    ),
    _bug(
        "mail text",
        *(f"plugins.page('mail.txt', lines=[{{'price': {n}, 'count': 0}}])" for n in (1, 2)),
    ),
    _bug("page: missing", *(f"plugins.page('{name}.html')" for name in ("cart", "user"))),
    _bug("pdf: not installed", "plugins.to_pdf('a')", "plugins.to_pdf('b')"),
    _bug("docx: not installed", "plugins.to_docx('a')", "plugins.to_docx('b')"),
    _bug("plugin: missing", *(f"plugins.plugin('{name}')" for name in ("mail", "sms"))),
    _bug("lazy: missing", *(f"plugins.configure('{name}')" for name in ("host", "port"))),
    _flow("flow: sales time out", "flows.report_sales(0.01)", "flows.report_sales(0)"),
    _flow("flow: stock time out", "flows.report_stock(0.01)", "flows.report_stock(0)"),
    _flow("flow: no rate", *(f"flows.rates_of(['{n}'])" for n in ("EUR", "USD"))),
    _flow("flow: task without rate", "flows.sync_all(['EUR'])", "flows.sync_all(['a', 'b'])"),
    _flow("flow: two kinds", "flows.sync_mixed(['EUR'])", "flows.sync_mixed(['a', 'b'])"),
    _flow("flow: last page", *(f"flows.collect({n})" for n in (1, 3, 9))),
    _flow("flow: in a thread", *(f"flows.in_thread([{{'month': {n}}}])" for n in (1, 2))),
    _view("view: size 0", "views.page_size({'size': '0'})", "views.page_size({'size': ' 0'})"),
    _view("view: no size", "views.page_size({})", "views.page_size({'a': 1})"),
    _view("view: start", "views.page_start({'size': '1'})", "views.page_start({'size': ' 1'})"),
    _view("view: tag", *(f"views.tags({{'tags': [{v}]}})" for v in ("None", "1"))),
    _view("view: tenth tag", *(f"views.tags({{'tags': {v}}})" for v in ("['a']", "['b', 'c']"))),
    _view("view: filter", *(f"views.filters({{'filter': {v}}})" for v in ("{}", "{'a': 1}"))),
    _view(
        "view: order",
        *(f"views.filters({{'filter': {{'name': 1}}, 'order': {v}}})" for v in ("{}", "{'a': 1}")),
    ),
)
"""All of them, in the order of the shop's modules."""
