"""What is masked before anything is written, and what is not."""

from collections import OrderedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.core.scrub import (
    CUT,
    DEFAULT_KEYS,
    MASK,
    MAX_BREADTH,
    MAX_LINE_CHARS,
    MAX_SCRUBBED_CHARS,
    Keys,
    Rules,
    clean,
    is_sensitive,
    plain,
    scrub,
    scrub_source,
    scrub_text,
    words_of,
)
from watchkeeper.core.sensitive import MAX_JUDGED

SECRET = "hunter2-S3CRET"


@pytest.mark.parametrize(
    "key",
    [
        "password",
        "PASSWORD",
        "db_password",
        "passwordConfirm",
        "password2",
        "user-passwd",
        "client secret",
        "clientSecret",
        "CLIENT_SECRETS",
        "access_token",
        "accessToken",
        "refresh.token",
        "tokens",
        "Authorization",
        "Proxy-Authorization",
        "HTTP_AUTHORIZATION",
        "Cookie",
        "Set-Cookie",
        "cookies",
        "sessionid",
        "session",
        "csrftoken",
        "X-CSRF-Token",
        "apikey",
        "api_key",
        "X-API-Key",
        "APIKey",
        "private_key",
        "AWS_SECRET_ACCESS_KEY",
        "signing-key",
        "secretKey",
        "credentials",
        "otp",
        "card_number",
        "creditCard",
        "cvv",
        "iban",
        "X-Forwarded-For",
        "REMOTE_ADDR",
        "ip_address",
        "password_hash",
        "DATABASE_DSN",
    ],
)
def test_keys_of_secrets_are_sensitive(key: str):
    """A key is told by its words, however it is written."""
    assert is_sensitive(key)


@pytest.mark.parametrize(
    "key",
    [
        "author",
        "authority",
        "passenger",
        "compass",
        "monkey",
        "keyboard",
        "primary_key",
        "foreignKey",
        "secretary",
        "tokenizer",
        "pinned",
        "spin",
        "cookieless",
        "token_count",
        "maxTokens",
        "max_tokens",
        "token_type",
        "auth_method",
        "session_count",
        "activeSessions",
        "prompt_tokens",
        "",
        "…",
        "größe",
    ],
)
def test_harmless_keys_survive(key: str):
    """Words count, not substrings, and some whole keys are exempt."""
    assert not is_sensitive(key)


def test_a_key_is_split_into_words():
    """At underscores, dashes, dots, spaces and capitals."""
    assert ["x", "api", "key", "id", "http", "server"] == words_of("X-API_key.id HTTPServer")


def test_users_may_add_and_exempt_keys():
    """Own words and own exempt keys take the place of the default ones."""
    keys = Keys(words=frozenset({"kennwort"}), exempt=frozenset({"kennwort_regel"}))

    assert {"kennwort": MASK, "kennwort_regel": "8 signs", "x": f"kennwort={MASK}"} == scrub(
        {"kennwort": "a", "kennwort_regel": "8 signs", "x": "kennwort=a"},
        rules=Rules(keys=keys),
    )


def test_a_sensitive_key_masks_its_value_of_any_type():
    """Whatever is below it: text, number, list, mapping, None."""
    assert {
        "password": MASK,
        "pin": MASK,
        "tokens": MASK,
        "auth": MASK,
        "secret": MASK,
        "order": {"id": 7, "card_number": MASK},
    } == scrub(
        {
            "password": "a",
            "pin": 1234,
            "tokens": ["a", "b"],
            "auth": {"user": "ann"},
            "secret": None,
            "order": {"id": 7, "card_number": "4111"},
        }
    )


def test_pairs_of_key_and_value_are_judged_by_the_key():
    """Lists of headers and forms are often pairs."""
    assert [["authorization", MASK], ["accept", "text/html"]] == scrub(
        [(b"authorization", b"Bearer abc"), ("accept", "text/html")]
    )


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        (f"Authorization: {MASK}", "Authorization: Bearer abc.def"),
        (f"sent Bearer {MASK}", "sent Bearer abc123"),
        (f"got Basic {MASK}", "got Basic dXNlcjpwYXNzd29yZA=="),
        (f"Digest {MASK}\nnext", 'Digest username="a", response="b"\nnext'),
        (f"postgres://shop:{MASK}@db/shop", f"postgres://shop:{SECRET}@db/shop"),
        (f"redis://:{MASK}@cache:6379/0", "redis://:p@ss@cache:6379/0"),
        (f"/pay?order=7&token={MASK}&x=1", f"/pay?order=7&token={SECRET}&x=1"),
        (f"a%3D1%26password%3D{MASK}%26b", f"a%3D1%26password%3D{SECRET}%26b"),
        (f"Server=db;PWD={MASK};Timeout=5", "Server=db;PWD={a;b};Timeout=5"),
        (f"host=db password={MASK} user=shop", f"host=db password={SECRET} user=shop"),
        (f"{{'password': {MASK}, 'id': 7}}", "{'password': 'a b, c', 'id': 7}"),
        (f'{{"api_key": {MASK}', '{"api_key": "cut off in the mid'),
        (rf"{{\"token\": {MASK}, \"id\": 7}}", r"{\"token\": \"abc\", \"id\": 7}"),
        (f"Login(user='ann', password={MASK})", "Login(user='ann', password='a\\'b')"),
        (f"Cookie: {MASK}\nHost: shop", "Cookie: a=b; c=d\nHost: shop"),
        (f"key {MASK} end", "key eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl end"),
        (f"key {MASK} end", "key AKIAIOSFODNN7EXAMPLE end"),
        (f"key {MASK} end", "key ghp_16C7e42F292c6912E7710c838347Ae178B4a end"),
        (
            f"pem {MASK} end",
            "pem -----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- end",
        ),
        (f"pem {MASK}", "pem -----BEGIN PRIVATE KEY-----\nMIIE cut off"),
    ],
)
def test_secrets_in_texts_are_masked(expected: str, text: str):
    """Messages carry headers, URLs, query strings, JSON and reprs; only the secret goes."""
    assert expected == scrub_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "Basic authentication failed",
        "Bearer authentication needed",
        "unexpected token expired",
        "invalid password: too short",
        "the token was refused",
        "author=Ann passenger=2 primary_key=7",
        "if token == expected",
        "token=None",
        "http://shop.example:8080/a?x=b@c",
        "'SKU-1'",
        "max_tokens=5",
    ],
)
def test_harmless_texts_survive(text: str):
    """A word that sounds like a secret is none without its value."""
    assert text == scrub_text(text)


@pytest.mark.parametrize(
    ("expected", "source"),
    [
        (f"password = {MASK}", 'password = "x"'),
        (f"API_KEY: str = {MASK}", 'API_KEY: str = "abc"'),
        (f'os.environ["DB_PASSWORD"] = {MASK}', 'os.environ["DB_PASSWORD"] = "x"'),
        (f'login("ann", password={MASK}, retry=True)', 'login("ann", password="x", retry=True)'),
        (f'{{"token": {MASK}, "b": "c"}}', '{"token": "a", "b": "c"}'),
        (f'key = """{MASK}\n', 'key = """-----BEGIN PRIVATE KEY-----\nMIIE'),
        (f"secret = {MASK}", "secret = rb'abc'"),
        (f"TOKEN = (\n  {MASK}\n  {MASK}\n)", 'TOKEN = (\n  "abc"\n  "def"\n)'),
        (f"SECRET = {MASK}\n\nx = 1", 'SECRET = """a\nb"""\nx = 1'),
    ],
)
def test_literals_given_to_sensitive_names_are_masked_in_source(expected: str, source: str):
    """Source lines are shown without the secrets in them, and stay the same number of lines."""
    assert expected == scrub_source(source)
    assert source.count("\n") == scrub_source(source).count("\n")


@pytest.mark.parametrize(
    ("expected", "source"),
    [
        ("kind = token\nclient = connect(kind)", "kind = token\nclient = connect(kind)"),
        (f"run(['curl', '-u',\n 'ann:{MASK}'])\nx", "run(['curl', '-u',\n 'ann:x1'])\nx"),
    ],
)
def test_lines_stay_where_a_form_goes_over_their_end(expected: str, source: str):
    """What is masked there, or looks like it, gives no line more than there was."""
    assert expected == scrub_source(source)


@pytest.mark.parametrize(
    "source",
    [
        "password = form['password']",
        "token = read_token(path)",
        'def login(password: str | None = None, name: str = "x"): ...',
        'author = "Ann"',
        'total = prices["SKU-1"]',
    ],
)
def test_source_without_secrets_survives(source: str):
    """Expressions are code, not secrets."""
    assert source == scrub_source(source)


def test_a_secret_is_masked_before_the_text_is_cut():
    """A secret across the border of the cut does not slip through."""
    text = "password='" + SECRET * 10 + "'"

    assert "password=[mas…" == scrub_text(text, limit=14)


def test_values_are_bounded():
    """Deep, wide, endless and foreign values are cut, and say so."""
    endless: list[object] = []
    endless.append(endless)

    assert [[[[["(list)"]]]]] == scrub(endless)
    assert MAX_BREADTH + 1 == len(scrub(list(range(1000))))
    assert "… 950 more" == scrub(list(range(1000)))[-1]
    assert "950 more" == scrub(dict.fromkeys(range(1000)))["…"]
    assert [["a"], ["b"]] == scrub([{"a"}, frozenset({"b"})])
    assert "(object)" == scrub(object())
    assert "(333 bits)" == scrub(10**100)
    assert "nan" == scrub(float("nan"))
    assert 2_000 == len(scrub("x" * 100_000))


def test_a_value_of_many_small_parts_ends():
    """What lies behind the first 64 kB is cut, however it is nested and split."""
    wide = [["x" * 1_000] * MAX_BREADTH] * MAX_BREADTH

    scrubbed = scrub(wide)

    assert MAX_BREADTH == len(scrubbed)
    assert "x" * 1_000 == scrubbed[0][0]
    assert CUT == scrubbed[-1]


def test_a_foreign_objects_own_methods_are_never_called():
    """Neither `repr` nor an overridden `items` of the host's objects is run."""

    class Loud(OrderedDict[str, int]):
        def items(self):  # type: ignore[no-untyped-def]
            raise AssertionError

        def __repr__(self):
            raise AssertionError

    class Row:
        def __repr__(self):
            raise AssertionError

    assert {"rows": {"a": 1}, "row": "(Row)"} == scrub({"rows": Loud(a=1), "row": Row()})


def test_what_a_database_does_not_take_is_replaced():
    """Lone surrogates and NUL become signs that UTF-8 can carry."""
    assert "a?b�c" == clean("a\ud800b\0c")
    assert "größe" == clean("größe")


def test_a_copy_holds_nothing_alive():
    """`plain` copies containers and keeps no object of the host."""
    inner = [1, 2]

    copied = plain({"a": inner, "b": object()})
    inner.append(3)

    assert {"a": [1, 2], "b": "(object)"} == copied


@given(
    st.sampled_from(
        ["password={}", '"token": "{}"', "secret='{}'", "https://u:{}@h/", "Bearer {}"]
    ),
    st.text(alphabet="ghijkGHIJK", min_size=0, max_size=20),
    st.text(alphabet="xyz ,.\n", max_size=40),
)
def test_a_secret_is_found_wherever_it_stands(form: str, tail: str, around: str):
    """Whatever text is before and after."""
    text = around + " " + form.replace("{}", SECRET + tail) + " " + around

    assert SECRET not in scrub_text(text)


def test_enormous_texts_are_cut_before_they_are_searched():
    """Only the first 64 kB are looked at, and nothing behind them is kept."""
    assert MAX_LINE_CHARS == len(scrub_source("x" * (MAX_SCRUBBED_CHARS + 10)))


TEXTS = st.text(max_size=30) | st.text(alphabet="ab ='\":,;{}[]()<>\\&%/-.\n", max_size=30)
FORMS = [
    "password={}",
    "password='{}'",
    '"token": "{}"',
    '{{\\"secret\\": \\"{}\\"}}',
    "login(password='{}')",
    "('api_key', '{}')",
    "https://ann:{}@shop.example/",
    "Authorization: Bearer {}",
    "Cookie: lang={}",
    "PWD={{{}}}",
    "a%3D1%26token%3D{}",
    '<input name="pin" value="{}">',
    "<password>{}</password>",
    'name="password"\r\n\r\n{}\r\n--',
    "AKIA{}",
    "ghp_{}",
    "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----",
    "https://hooks.example/{}",
    "{{'auth': ('ann', '{}')}}",
    "password='a b' '{}'",
    "[('tokens', ('a', '{}'))]",
    '<n:password n:a="b">{}</n:password>',
    "?password[]={}",
    "Command '['curl', '-u', 'ann:{}']' failed",
    "mysqldump -p{} shop",
    "redis-cli -a {}",
]


@given(TEXTS, st.sampled_from(FORMS), TEXTS)
def test_no_planted_secret_survives(before: str, form: str, after: str):
    """Whatever stands around it, each kind of secret goes, and UTF-8 can carry the rest."""
    secret = "PLANTED0123456789"[:16]

    scrubbed = scrub_text(f"{before}\n{form.format(secret)}\n{after}")

    assert secret not in scrubbed
    scrubbed.encode()


@given(TEXTS, st.sampled_from(FORMS), TEXTS)
def test_scrubbing_again_finds_nothing_new(before: str, form: str, after: str):
    """A secret that is found at the second time would have been stored at the first."""
    scrubbed = scrub_text(f"{before} {form.format('PLANTED012345678')} {after}")

    assert "PLANTED" not in scrub_text(scrubbed)


@given(st.text(max_size=300), st.integers(min_value=1, max_value=300))
def test_any_text_becomes_one_that_can_be_stored(text: str, limit: int):
    """Within its limit, in UTF-8, whatever it was; source keeps its lines."""
    assert limit >= len(scrub_text(text, limit=limit).encode().decode())
    assert text.count("\n") == scrub_source(text).count("\n")


def test_what_was_cut_off_hides_its_last_signs_if_masks_made_it_short():
    """A secret across the border of what is looked at does not show its first half."""
    secrets = "token=" + "x" * 2_000 + "&"

    scrubbed = scrub_text(secrets * 4 + "ghp_PLANTED" * 2_000)

    assert scrubbed.endswith(CUT)
    assert "PLANTED" not in scrubbed


def test_a_value_that_was_refused_for_a_sensitive_field_is_masked():
    """What pydantic's `errors()` tells: the field under "loc", its value under "input"."""
    assert [
        {"loc": ["body", "password"], "msg": "No", "input": MASK},
        {"loc": ["body", 7, "amount"], "msg": "No", "input": "12x"},
        {"loc": "password", "input": "12x"},
    ] == scrub(
        [
            {"loc": ("body", "password"), "msg": "No", "input": "hunter2"},
            {"loc": ("body", 7, "amount"), "msg": "No", "input": "12x"},
            {"loc": "password", "input": "12x"},
        ]
    )


def test_a_value_named_beside_it_is_masked():
    """Lists of names and values, as a container's environment has them."""
    assert {"env": [{"name": "DB_PASSWORD", "value": MASK}, {"name": "A", "value": "b"}]} == scrub(
        {"env": [{"name": "DB_PASSWORD", "value": "x"}, {"name": "A", "value": "b"}]}
    )


@pytest.mark.parametrize(
    ("expected", "command"),
    [
        (["curl", "-u", MASK, "x"], ["curl", "-u", "ann:hunter2", "x"]),
        (["curl", "-u", MASK], ["curl", "-u", "a" * 30 + ":'|"]),
        (["mysqldump", MASK, "shop"], ["mysqldump", "-phunter2 '", "shop"]),
        (["psql", "--token", MASK, "x"], ["psql", "--token", "hunter2", "x"]),
        (["sshpass", "-p", MASK, "ssh", "-p", "22"], ["sshpass", "-p", "x", "ssh", "-p", "22"]),
        (["redis-cli", "-p", 1, "-a", MASK], ["redis-cli", "-p", 1, "-a", "hunter2"]),
    ],
)
def test_a_command_in_a_list_shows_no_password(expected: list[object], command: list[object]):
    """Its options say what is one, as in a command that is a text."""
    assert {"cmd": expected} == scrub({"cmd": command})


@pytest.mark.parametrize(
    "command",
    [
        ["docker", "run", "-u", "1000:1000", "-p", "80:80", "-p8080:80"],
        ["login", "--token", "--verbose"],
        ["curl", "-u", "ann", "https://shop"],
        ["mysql", "-p", "shop"],
        ["-p", "x", None, "-a", 3],
    ],
)
def test_a_command_without_a_password_stays(command: list[object]):
    """An option is a program's own."""
    assert command == scrub(command)


def test_a_list_of_too_many_options_is_masked():
    """What is not looked at is not kept."""
    commands = [["curl", "-u", "ann"] * 16] * 20

    assert ["-p", MASK] == scrub([*commands, ["-p", "x"]])[-1]


def test_a_secret_used_as_a_key_is_masked():
    """Keys are texts too."""
    assert {f"Bearer {MASK}": 1} == scrub({"Bearer abc123": 1})


def test_a_long_key_is_told_by_both_its_ends():
    """Nobody hides a name behind two hundred letters."""
    assert [MASK] == list(scrub({"x" * 500 + "_password": "a"}).values())


def test_users_add_and_exempt_keys_in_their_words():
    """As they are written in code, headers or settings; a row of words counts as a row."""
    keys = DEFAULT_KEYS.extended(
        added=["kundennummer", "Order-Note", "schlüssel"], exempt=["X-Forwarded-For"]
    )

    assert keys.is_sensitive("KUNDENNUMMER")
    assert keys.is_sensitive("my_order_note")
    assert keys.is_sensitive("Schlüssel")
    assert keys.is_sensitive("password")
    assert not keys.is_sensitive("note_of_order")
    assert not keys.is_sensitive("x_forwarded_for")


def test_verdicts_on_keys_are_remembered_within_bounds():
    """Keys of the host's making do not fill the memory."""
    keys = Keys()

    for number in range(MAX_JUDGED + 2):
        keys.is_sensitive(f"pass {number}")

    assert 2 == len(keys._judged)
    assert keys.is_sensitive("password")


PLANTED = "PLANTED" + "0123456789ABCDEF"
MANY = [
    f"token={PLANTED}&",
    f"ghp_{PLANTED} ",
    f"pin\n  No [type=x, input_value='{PLANTED}', input_type=str]\n",
    f"a=1&--token {PLANTED} ",
    f'{{"a": 1, "pin": "{PLANTED}"}} ',
]
MANY_IN_SOURCE = [
    f"ghp_{PLANTED}\n",
    f"token = f('a', (1, '{PLANTED}'))\n",
    f"x = 'a'\nsecret: str = '{PLANTED}'\n",
    f"x = 'token={PLANTED} '\n",
    f"tokens = [\n'{PLANTED}',\n",
    f"token: A[f('a')] = '{PLANTED}'\n",
    f"if '{PLANTED}!' == password:\n",
    f"set_password('{PLANTED}', 'a')\n",
    f"token in ('a', '{PLANTED}')\n",
]


@pytest.mark.parametrize("piece", MANY)
def test_what_is_too_much_to_look_at_is_dropped_not_kept(piece: str):
    """More secrets than anybody reads: those beyond the steps of one text are gone, too."""
    for scrubbed in (
        scrub_text(piece * 800, limit=MAX_SCRUBBED_CHARS),
        str(scrub([piece * 10] * 40)),
    ):
        assert "PLANTED" not in scrubbed
        assert MASK in scrubbed
        assert CUT in scrubbed


@pytest.mark.parametrize("piece", MANY_IN_SOURCE)
def test_source_that_is_too_much_keeps_its_lines(piece: str):
    """Empty ones where it was not looked at."""
    source = (piece * 800)[:MAX_SCRUBBED_CHARS].rpartition("\n")[0]

    scrubbed = scrub_source(source)

    assert "PLANTED" not in scrubbed
    assert MASK in scrubbed
    assert source.count("\n") == scrubbed.count("\n")


@pytest.mark.parametrize(
    "hostile", ["a=1&", "x: 'a' ", "f(", "'a' ", "token=(", "4111 ", "\n", "pw, "]
)
def test_a_secret_after_hostile_text_is_gone(hostile: str):
    """Whoever spends all steps before it does not bring it through."""
    for scrubbed_of in (scrub_text, scrub_source):
        scrubbed = scrubbed_of(f"{hostile}\n" * 3_000 + f"password='{PLANTED}'\n")
        assert "PLANTED" not in scrubbed


def test_ordinary_texts_need_few_steps():
    """A text of the length that is kept, with a secret in each line, is looked at to its end."""
    text = "order 17: POST /pay?token=abc&x=1 took 4.2 s\n" * 40

    assert text.replace("abc", MASK) == scrub_text(text)
