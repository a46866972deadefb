"""The normal form of SQL statements: equal where only values differ, and free of values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.core.statements import MAX_BYTES, fingerprint, normalise, operation

DATABASES = ("", "postgresql", "mysql", "mariadb", "sqlite", "oracle", "mssql")

# What makes up SQL, and what breaks readers of it.
_WORDS = """
    SELECT INSERT INTO VALUES IN WITH FROM WHERE AND BETWEEN NULL TRUE SAVEPOINT ROLLBACK TO FETCH
    ARRAY LIKE a t1 tmp_12 order Straße "a" "b""c" `c` "tmp_7" 'x' 'it''s' E'\\'' $$a$$ $q$b$q$ $1
    ? %s %(n)s %% :p ::int @p @@v 1 -2 .5 1e9 0xF ( ) [ ] , ; . + - * / = <> || -> ->> # -- /* */
    ' " ` \\ $ : @ % … İ
"""
PIECES = st.sampled_from(_WORDS.split())
STATEMENTS = st.lists(PIECES | st.text(max_size=3), max_size=40).flatmap(
    lambda pieces: st.sampled_from(["", " ", "\n"]).map(lambda between: between.join(pieces))
)


@pytest.mark.parametrize(
    ("expected", "statement"),
    [
        ("SELECT * FROM t WHERE name = ?", "select *\n from t where name = 'it''s'"),
        ("SELECT * FROM t WHERE name = ?", "SELECT * FROM T WHERE name=E'it\\'s'"),
        ("SELECT * FROM t WHERE name = ?", "select * from t where name = $tag$it's $$ $tag$"),
        ("SELECT * FROM t WHERE name = ?", "select * from t where name = U&'d\\0061ta'"),
        ("SELECT * FROM t WHERE a = ? AND b = ?", "select * from t where a=-1.5e-3 and b= 0xFF"),
        ("SELECT a - ? FROM t LIMIT ?", "select a - 5 from t limit -1"),
        ("SELECT a - ? FROM t LIMIT ?", "select a-5 from t limit +1;"),
    ],
)  # fmt: skip
def test_literals_become_question_marks(expected, statement):
    """Texts, numbers and their signs say nothing about which statement it is."""
    assert expected == normalise(statement, db="postgresql")


@pytest.mark.parametrize("mark", ["?", "%s", "%(id)s", ":id", ":1", "$1", "$id", "@p1", "7"])
def test_placeholders_of_every_style_are_one(mark):
    """The same query through another driver has the same fingerprint."""
    assert "SELECT a FROM t WHERE id = ?" == normalise(f"SELECT a FROM t WHERE id = {mark}")


@pytest.mark.parametrize(
    ("expected", "statement"),
    [
        ("DELETE FROM t WHERE a IN (?)", "DELETE FROM t WHERE a IN (1, 2, 3)"),
        ("DELETE FROM t WHERE a IN (?)", "DELETE FROM t WHERE a in(%s,%s)"),
        ("DELETE FROM t WHERE a IN (?)", "DELETE FROM t WHERE a IN ('x', NULL)"),
        ("SELECT ? WHERE (a, b) IN ((?, ?))", "SELECT 1 WHERE (a, b) IN ((1, 2), (3, 4))"),
        ("SELECT ? WHERE a IN (?::integer)", "SELECT 1 WHERE a IN ($1::INTEGER, $2::INTEGER)"),
        ("SELECT ? WHERE a = ANY (ARRAY[?])", "SELECT 1 WHERE a = any(ARRAY[1,2])"),
        ("SELECT a IN (SELECT b FROM t WHERE c IS NULL)",
         "select a in (select b from t where c is null)"),
        ("INSERT INTO t (a, b) VALUES (?, ?)", "INSERT INTO t(a,b) VALUES (1,2),(3,4) , (5,6)"),
        ("SELECT * FROM (VALUES (?)), t.order", "select * from (values (1), (2)), t.order"),
        ("REPLACE t VALUES (?), x", "REPLACE t VALUES (1), (2), x"),
        ("INSERT INTO t (a, b) VALUES (?, now()) RETURNING a",
         "insert into t (a, b) values (null, now()), (default, now()) returning a"),
        ('INSERT INTO "s"."T" ("A") VALUES (?)', 'INSERT INTO "s"."T" ("A") VALUES (1), (2)'),
    ],
)  # fmt: skip
def test_lists_of_any_length_are_one(expected, statement):
    """However many values a list or an INSERT has, it is the same statement."""
    assert expected == normalise(statement)


@pytest.mark.parametrize(
    ("expected", "statement"),
    [
        ("SELECT ?", "/* who: ann */ SELECT 1 -- and why"),
        ("SELECT ?", "SELECT /*+ hint */ 1 /*traceparent='00-1-1-01',db_driver='x'*/"),
        ("SELECT ? + ?", "SELECT 1 /* outer /* inner */ still outer */ + 1"),
        ("SELECT ?", "SELECT 1 /* never closed"),
    ],
)
def test_comments_go(expected, statement):
    """Comments, such as a tracer's, make no other statement and are not kept."""
    assert expected == normalise(statement, db="postgresql")


def test_only_databases_that_nest_comments_nest_them():
    """In SQLite the first `*/` ends a comment, so what follows is part of the statement."""
    assert "SELECT ? + ?" == normalise("SELECT 1 /* a /* b */ + 2", db="sqlite")


def test_case_counts_only_inside_of_quotes():
    """`Select A` and `SELECT a` are the same; `"A"` and `"a"` are two columns."""
    assert normalise("Select A From T") == normalise("SELECT a FROM t")
    assert 'SELECT "A", `B` FROM t' == normalise('select "A", `B` from t')


def test_null_and_truth_are_kept_outside_of_lists():
    """`IS NULL` and `= TRUE` have other plans than a comparison with a value."""
    assert "SELECT a IS NULL, b = TRUE" == normalise("select a is null, b = true")


@pytest.mark.parametrize(
    ("expected", "statement"),
    [
        ("SAVEPOINT ?", "SAVEPOINT sa_savepoint_17"),
        ("SAVEPOINT ?", 'savepoint "s140_x2"'),
        ("ROLLBACK TO SAVEPOINT ?", "ROLLBACK TO SAVEPOINT s3"),
        ("RELEASE SAVEPOINT ?", "RELEASE SAVEPOINT s3"),
        ("DECLARE ? CURSOR FOR SELECT a FROM t", "DECLARE c_19 CURSOR FOR SELECT a FROM t"),
        ("FETCH ? ? FROM ?", 'FETCH FORWARD 100 FROM "c_19"'),
        ("EXECUTE ? (?)", "EXECUTE plan_5(1)"),
        ("SELECT x FROM tmp_0", "SELECT x FROM tmp_8117"),
        ('SELECT x FROM "tmp_0_a"', 'SELECT x FROM "tmp_81f17c0_a"'),
        ("SELECT x FROM cache_0", "SELECT x FROM cache_0123456789abcdef01"),
        ("SELECT address1, address2 FROM t2", "SELECT address1, address2 FROM t2"),
    ],
)
def test_names_made_at_run_time_are_one(expected, statement):
    """A numbered savepoint, cursor or temporary table does not make a new statement each time."""
    assert expected == normalise(statement)


def test_mysql_reads_backslashes_and_double_quotes_as_it_does():
    """On MySQL and MariaDB a text may stand in double quotes and hold \\'."""
    statement = r"""SELECT "ann", 'o\'neil', `col` FROM t WHERE a = "b\"c" # bye"""

    assert "SELECT ?, ?, `col` FROM t WHERE a = ?" == normalise(statement, db="mysql")


def test_columns_are_set_apart_from_their_table():
    """Only calls of functions have their bracket right behind the name."""
    assert "CREATE TABLE IF NOT EXISTS a.t (b int REFERENCES u (c), d varchar(?))" == normalise(
        "create table if not exists a.t(b int references u(c), d varchar (20))"
    )


def test_sqlite_values_in_double_quotes_are_values():
    """SQLite takes an unknown name in double quotes for a text: what is compared goes."""
    statement = """
        SELECT "name" FROM "t" JOIN "u" ON "t"."id" = "u"."t_id"
        WHERE "name" = "ann" AND x IN ("bob", "eve") AND y BETWEEN "c" AND "d"
    """

    assert (
        'SELECT "name" FROM "t" JOIN "u" ON "t"."id" = "u"."t_id" '
        'WHERE "name" = ? AND x IN (?) AND y BETWEEN ? AND ?'
    ) == normalise(statement, db="sqlite")


def test_a_long_statement_is_cut_between_two_words():
    """At most 4 kB are kept; the end tells that there was more."""
    text = normalise("SELECT " + ", ".join(f'"Straße_{n}"' for n in range(1_000)))

    assert len(text.encode()) <= MAX_BYTES
    assert text.endswith('", …')
    assert text == normalise(text)


def test_a_list_longer_than_what_is_read_is_still_folded():
    """A list of a hundred thousand values costs no more than a long statement."""
    text = "SELECT a FROM t WHERE b IN (" + ", ".join(map(str, range(100_000))) + ") ORDER BY a"

    assert "SELECT a FROM t WHERE b IN (? …" == normalise(text)


@pytest.mark.parametrize(
    "piece",
    ["(", "in (", "in(1,", "in((1,1),", "values (", "(1),", "'", '"', '"a"=', "$a$", "$", "/*",
     "--", "- ", "%(", "a, ", "1", "1.", "E'\\", "@", "tmp_1a ", "::", "\0", "é"],
)  # fmt: skip
def test_hostile_text_is_read_in_linear_time(piece):
    """A megabyte of anything is cut, then read once; else this test would time out."""
    for text in (piece * (1_000_000 // len(piece)), "SELECT " + piece * 8_000 + "x"):
        normal = normalise(text)

        assert len(normal.encode()) <= MAX_BYTES
        assert normal == normalise(normal)


@given(STATEMENTS, st.sampled_from(DATABASES))
def test_normalising_twice_changes_nothing(statement, db):
    """The normal form is its own normal form."""
    normal = normalise(statement, db=db)

    assert normal == normalise(normal, db=db)


_HARMLESS = STATEMENTS.filter(lambda text: not set("'\"`$/-#\\") & set(text))


@given(
    _HARMLESS,
    st.sampled_from(
        ["'{}'", "N'{}'", "x'{}'", "E'\\'{}\\\\'", "'''{}'''", "'a' '{}'", "$$'{}'$$",
         "$t${}$$ $t$", "-- {}\n", "/* '{} */", "/*+ {} */", "/* /* */ {} */"],
    ),
    st.sampled_from(["= {} AND a", "IN (1, {}, {})", "VALUES ({}), ({})", "({})", "{};", ":: {}"]),
)  # fmt: skip
def test_no_secret_passes(before, literal, place):
    """Whatever stands in a literal or a comment of a statement is not in its normal form."""
    secret = "sEcr3t ''no'' more" if "'{}" in literal else "sEcr3t no more"

    normal = normalise(f"{before} {place.replace('{}', literal.format(secret))}", db="postgresql")

    assert "ecr3t" not in normal
    assert "more" not in normal


@given(_HARMLESS, st.sampled_from(["'{}", "E'{}", "$$ {}", "$a$ {} $b$", "-- {}", "/* {}", '"{}']))
def test_no_secret_passes_when_its_end_is_missing(before, literal):
    """A literal whose end was cut off hides everything that follows."""
    normal = normalise(f"{before} = {literal.format('sEcr3t no more')}", db="postgresql")

    assert "ecr3t" not in normal
    assert "more" not in normal


@given(
    st.integers() | st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(DATABASES)
)
def test_no_number_passes(number, db):
    """Every number is a value, however it is written."""
    assert "SELECT a FROM t WHERE b = ? OR c IN (?)" == normalise(
        f"SELECT a FROM t WHERE b = {number} OR c IN ({number!r}, {number})", db=db
    )


@pytest.mark.parametrize(
    ("expected", "statement"),
    [
        ("SELECT", " select 1"),
        ("SELECT", "/* c */ (SELECT 1) UNION SELECT 2"),
        ("SELECT", "VALUES (1)"),
        ("INSERT", "insert into t values (1)"),
        ("UPDATE", "UPDATE t SET a = 1"),
        ("DELETE", "WITH old AS (SELECT 1) DELETE FROM t"),
        ("INSERT", "WITH RECURSIVE a(n) AS (SELECT 1), b AS (SELECT 2) INSERT INTO t SELECT 1"),
        ("BEGIN", "START TRANSACTION"),
        ("COMMIT", "commit"),
        ("ROLLBACK", "ROLLBACK TO SAVEPOINT s1"),
        ("PRAGMA", "PRAGMA table_info('x')"),
        ("CALL", "CALL report(1)"),
        ("OTHER", "FROBNICATE everything"),
        ("OTHER", ""),
        ("OTHER", "WITH a AS (SELECT 1"),
    ],
)
def test_the_operation_is_the_main_verb(expected, statement):
    """A statement is counted under what it does, in one of few words."""
    assert expected == operation(statement)
    assert expected == operation(normalise(statement))


def test_the_fingerprint_is_sixteen_hexadecimal_digits():
    """The fingerprint of a normal form is the same in every process and release."""
    assert "c148796e1220075a" == fingerprint("SELECT ?")
    assert "c148796e1220075a" != fingerprint("SELECT ?, ?")
