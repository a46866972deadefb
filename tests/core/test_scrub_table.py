"""The table of what is masked in texts and what is not, each with its exact result."""

import pytest

from watchkeeper.core.scrub import MASK, scrub_source, scrub_text

M = MASK
# Made up for these tests: none of them opens anything. Those that a scanner of repositories
# would report are put together here.
GITHUB = "ghp_" + "NotARealToken0123456789"
STRIPE = "sk_live_" + "NotARealKey0123456789"
AWS = "AKIA" + "NOTAREALKEY12345"
JWT = "eyJub3QiOiJyZWFsIn0.eyJzdWIiOiJhbm4ifQ.bm90LWEtcmVhbC1zaWc"
PEM = "-----BEGIN PRIVATE KEY-----\nTm90IGEga2V5\nbm90IGEga2V5\n-----END PRIVATE KEY-----"
SSH = "-----BEGIN OPENSSH PRIVATE KEY-----\nTm90IGEga2V5\n-----END OPENSSH PRIVATE KEY-----"
SLACK = "//hooks." + "slack.com/services/T00/B00/notarealhook"

MASKED = [
    # forms: keys, tokens, certificates
    (f"a {M} b", f"a {PEM} b"),
    (f"a {M} b", f"a {SSH} b"),
    (f"a {M}", f"a {PEM[:50]}"),
    (f'{{"k": "{M}"}}', '{"k": "' + PEM.replace("\n", "\\n") + '"}'),
    (f"a {M} b", f"a {JWT} b"),
    (f"a {M} b", f"a {JWT.rpartition('.')[0]} b"),
    (f"a {M} b", f"a {JWT}.b25l.dHdv b"),
    (f"key {M}, next", f"key {AWS}, next"),
    (f"key {M}, next", f"key {AWS.replace('AKIA', 'ASIA')}, next"),
    (f"push to {M}!", f"push to {GITHUB}!"),
    (f"push to {M}", "push to github_pat_" + "11NOTREAL0123456789_abc"),
    (f"push to {M}", "push to glpat-" + "NotARealToken-012345"),
    (f"post with {M}", "post with xoxb-" + "000000000000-NotARealToken"),
    (f"charge {M}", f"charge {STRIPE}"),
    (f"charge {M}", "charge rk_live_" + "NotARealKey0123456789"),
    (f"ask {M}", "ask sk-" + "proj-NotARealKey0123456789"),
    (f"ask {M}", "ask sk-" + "ant-api03-NotARealKey_0123456789"),
    (f"map {M}", "map AIza" + "NotARealKey0123456789-abcdefghijklm"),
    (f"mail {M}", "mail SG." + "NotARealKey012345." + "NotARealKey0123456789abc"),
    (f"publish {M}", "publish npm_" + "NotARealToken0123456789abcdefghij"),
    (f"publish {M}", "publish pypi-" + "AgEINotARealToken0123456789abcdefghij"),
    (f"vault {M}", "vault hvs." + "NotARealToken0123456789"),
    (f"age {M}", "age AGE-SECRET-KEY-" + "1NOTAREALKEY0123456789"),
    (f"sign {M}", "sign whsec_" + "NotARealSecret0123456789"),
    # addresses
    (f"https:{SLACK[:17]}/{M} 404", f"https:{SLACK} 404"),
    (f"https://hooks.example:8443/{M}?a=1", "https://hooks.example:8443/x/y-z?a=1"),
    (f"https://discord.com/api/webhooks/{M}", "https://discord.com/api/webhooks/12/not-real"),
    (f"https://api.telegram.org/bot{M}", "https://api.telegram.org/bot12:not-real/sendMessage"),
    (f"mysql://ann:{M}@db:3306/shop", "mysql://ann:a!b@db:3306/shop"),
    (f"amqp://ann:{M}@mq/", "amqp://ann:p@ss@mq/"),
    (f"redis://:{M}@cache/0", "redis://:hunter2@cache/0"),
    (f"postgres://ann:{M}@db/x", "postgres://ann:a/b@db/x"),
    (f"(Engine(postgresql://ann:{M}@db/shop))", "(Engine(postgresql://ann:xyz@db/shop))"),
    (f"url 'https://ann:{M}@h/a?b=c@d'", "url 'https://ann:pw@h/a?b=c@d'"),
    (f"to=postgres%3A%2F%2Fann%3A{M}%40db", "to=postgres%3A%2F%2Fann%3Ahunter2%40db"),
    (f"blob?sv=1&sig={M}&se=2", "blob?sv=1&sig=bm90%2Breal%3D&se=2"),
    # databases
    (
        f"[SQL: INSERT INTO a VALUES (?, ?)]\n[parameters: {M}]\n(Background on this error",
        "[SQL: INSERT INTO a VALUES ('x', 'it''s')]\n[parameters: ('y', 3)]\n"
        "(Background on this error",
    ),
    (f"[parameters: {M}]", "[parameters: [{'note': 'cut off"),
    (f"DETAIL:  Key (email)=({M}) already", "DETAIL:  Key (email)=(ann) already"),
    (f"DETAIL:  Failing row contains ({M}).", "DETAIL:  Failing row contains (1, ann)."),
    ("INSERT INTO a (b, c) VALUES (?, ?)", "INSERT INTO a (b, c) VALUES ('x', 'y')"),
    (f"Duplicate entry '{M}' for key 'a.b'", "Duplicate entry 'ann' for key 'a.b'"),
    ("INSERT INTO users VALUES (?,?)", "INSERT INTO users VALUES ('ann','hunter2')"),
    (
        "INSERT INTO a (b)\nVALUES\n (?),\n (?)\nnext",
        "INSERT INTO a (b)\nVALUES\n ('x'),\n ('y')\nnext",
    ),
    ("LINE 1: INSERT INTO a VALUES (?", "LINE 1: INSERT INTO a VALUES ('cut off in"),
    ("INSERT INTO users SELECT ?", "INSERT INTO users SELECT 'hunter2'"),
    ("REPLACE INTO `a` SET b = ?", "REPLACE INTO `a` SET b = 'x'"),
    (f"CREATE USER ann WITH PASSWORD {M} LOGIN", "CREATE USER ann WITH PASSWORD 'x''y' LOGIN"),
    (f"alter role ann with password {M}", "alter role ann with password 'hunter2'"),
    (f"create user ann identified by {M}", "create user ann identified by 'hunter2'"),
    (f"ALTER ROLE ann PASSWORD {M}", "ALTER ROLE ann PASSWORD 'hunter2'"),
    (f"TO ann@h IDENTIFIED BY {M}", "TO ann@h IDENTIFIED BY 'hunter2'"),
    (
        f"IDENTIFIED WITH caching_sha2_password BY {M};",
        "IDENTIFIED WITH caching_sha2_password BY 'hunter2';",
    ),
    (
        f"Incorrect string value: '{M}' for column `d`.`u` at row 1",
        "Incorrect string value: '\\xF0hunter2' for column `d`.`u` at row 1",
    ),
    (f"Truncated incorrect DOUBLE value: '{M}'", "Truncated incorrect DOUBLE value: 'hunter2'"),
    (f"Key (a, (lower(b::text)))=({M}) exists.", "Key (a, (lower(b::text)))=(1, ann) exists."),
    # schemes
    (f"curl -H 'Authorization: {M}'", "curl -H 'Authorization: Bearer abc.def'"),
    (f"sent Bearer {M} to", "sent Bearer abc.def-123 to"),
    (f"sent Basic {M}", "sent Basic YW5uOmh1bnRlcjI="),
    (f"sent Token {M}", "sent Token 0123456789abcdef"),
    (f"auth was Digest {M}", 'auth was Digest username="ann", response="00ff"'),
    (f"header=Bearer%20{M}&x", "header=Bearer%20abc123&x"),
    # given to names
    (f"/login?user=ann&password={M}&next=/", "/login?user=ann&password=hunter2&next=/"),
    (f"/cb#access_token={M}&state=1", "/cb#access_token=abc&state=1"),
    (f"user=ann&clientSecret={M}", "user=ann&clientSecret=abc"),
    (f"user%3Dann%26password%3D{M}%26x%3D1", "user%3Dann%26password%3Dhunter2%26x%3D1"),
    (f"user%5Bpin%5D={M}&a=1", "user%5Bpin%5D=1234&a=1"),
    (f"user[password]={M}&a=1", "user[password]=hunter2&a=1"),
    (f"Server=db;Uid=sa;PWD={M};Timeout=5", "Server=db;Uid=sa;PWD=hunter2;Timeout=5"),
    (f"Server=db;PWD={M};Timeout=5", "Server=db;PWD={a;}}b};Timeout=5"),
    (f"AccountName=x;AccountKey={M};E=y", "AccountName=x;AccountKey=bm90cmVhbA==;E=y"),
    (f"SharedAccessKeyName=x;SharedAccessKey={M}", "SharedAccessKeyName=x;SharedAccessKey=bm90"),
    (f"host=db password={M} user=ann", "host=db password='a b' user=ann"),
    (f"PGPASSWORD={M} psql", "PGPASSWORD=hunter2 psql"),
    (f"export MYSQL_PWD={M}\nnext", "export MYSQL_PWD=hunter2\nnext"),
    (f"password2={M} api_key_v2={M}", "password2=hunter2 api_key_v2=hunter2"),
    (f"accessTokens={M}", "accessTokens=['a', 'b']"),
    (f"pаssword={M}", "pаssword=hunter2"),
    (f"ｐａｓｓｗｏｒｄ={M}", "ｐａｓｓｗｏｒｄ=hunter2"),
    (f"failed:\\npin={M}", "failed:\\npin=1234"),
    (f"curl -s -u ann:{M} https://shop", "curl -s -u ann:hunter2 https://shop"),
    (f"password={M}&x=1", "password=hun%26ter2&x=1"),
    (f"password: {M}", "password: hunter2"),
    (
        f"{{&quot;token&quot;: {M}, &quot;a&quot;: 1}}",
        "{&quot;token&quot;: &quot;a b&quot;, &quot;a&quot;: 1}",
    ),
    (f"mysqldump --password {M} shop", "mysqldump --password hunter2 shop"),
    (f"['psql', '--token', {M}, 'x']", "['psql', '--token', 'abc', 'x']"),
    (f"assert token == {M}", "assert token == 'abc'"),
    # reprs and JSON
    (f'{{"user": "ann", "password": {M}}}', '{"user": "ann", "password": "a\\"b,c"}'),
    (f'{{"pin": {M}, "id": 7}}', '{"pin": 1234, "id": 7}'),
    (f'{{"tokens": {M}, "id": 7}}', '{"tokens": ["a", ["b"]], "id": 7}'),
    (f'{{"auth": {M}, "id": 7}}', '{"auth": {"a": {"b": "}"}, "c": "d"}, "id": 7}'),
    (f'{{"auth": {M}', '{"auth": {"a": {"b": "cut off in the mid'),
    (f"{{'secret': {M}", "{'secret': 'cut off in the mid"),
    (f'"body": "{{\\"token\\": {M}}}"', '"body": "{\\"token\\": \\"a b\\"}"'),
    (rf"{{\\\"token\\\": {M}, \\\"a\\\": 1}}", r"{\\\"token\\\": \\\"a b\\\", \\\"a\\\": 1}"),
    (f"data=%7B%22token%22%3A{M}%7D", "data=%7B%22token%22%3A%22abc%22%7D"),
    (f"User(name='ann', password={M}, age=7)", "User(name='ann', password='a)b', age=7)"),
    (f"Login(password={M}, a=1)", "Login(password=SecretStr('hunter2'), a=1)"),
    (f"Login(auth={M}, a=1)", "Login(auth=Basic(user='ann', pw='x'), a=1)"),
    (f"{{'k': 1, b'api_key': {M}}}", "{'k': 1, b'api_key': b'abc'}"),
    (f"[(b'host', b'x'), (b'x-api-key', {M})]", "[(b'host', b'x'), (b'x-api-key', b'abc')]"),
    (f"[['csrf_token', {M}]]", "[['csrf_token', 'a7-b8']]"),
    (f'{{"name": "DB_PASSWORD", "value": {M}}}', '{"name": "DB_PASSWORD", "value": "abc"}'),
    (f":password => {M}", ":password => 'hunter2'"),
    # headers, forms, XML
    (f"Cookie: {M}\r\nHost: shop", "Cookie: lang=en; theme=dark\r\nHost: shop"),
    (f"Set-Cookie: {M}", "Set-Cookie: lang=en; Path=/; HttpOnly"),
    (f"b'GET /\\r\\nCookie: {M}\\r\\nHost: a'", "b'GET /\\r\\nCookie: a=b; c=d\\r\\nHost: a'"),
    (f"X-Api-Key: {M}\nHost: shop", "X-Api-Key: a b c\nHost: shop"),
    (f"X-Forwarded-For: {M}\n", "X-Forwarded-For: 192.0.2.1, 192.0.2.2\n"),
    (f"api_key: {M}, retry", "api_key: 0a1b2c3d4e, retry"),
    (
        f'--b\r\nContent-Disposition: form-data; name="password"\r\n\r\n{M}\r\n--b--',
        '--b\r\nContent-Disposition: form-data; name="password"\r\n\r\nhunter2\r\n--b--',
    ),
    (f'<input name="pin" type="text" value={M}>', '<input name="pin" type="text" value="1234">'),
    (f"<ns:password>{M}</ns:password>", "<ns:password>hunter2</ns:password>"),
    (f"<password>{M}", "<password>cut-off-in-the-mid"),
    (f"token={M}", "token=" + "(" * 2_000),
    (f"{'x' * 500}_password={M}", "x" * 500 + "_password=hunter2"),
    (f"PIN: {M}", "PIN: 4711"),
    (f"otp: {M}, cvv: {M}.", "otp: 123456, cvv: 123."),
    (f"mfa_code: {M}", "mfa_code: 123456"),
    (f"Kennwort={M} PASSWORT={M}", "Kennwort=hunter2 PASSWORT=hunter2"),
    (f"contraseña={M} mot_de_passe={M}", "contraseña=hunter2 mot_de_passe=hunter2"),
    (f"license_key={M} mnemonic={M}", "license_key=A1-B2 mnemonic='apple pear'"),
    (f"seed_phrase={M}", "seed_phrase='apple pear'"),
    # what pydantic refused
    (
        f"1 error\ndb_password\n  Too short [type=x, input_value={M}, input_type=str]\n    For",
        "1 error\ndb_password\n  Too short [type=x, input_value='a, b]', input_type=str]\n    For",
    ),
    (
        f"sub.0.pin\\n  No [type=x, input_value={M}]\\n",
        "sub.0.pin\\n  No [type=x, input_value=47]\\n",
    ),
    (
        f"user\n  No [type=missing, input_value={M}, input_type=dict]",
        "user\n  No [type=missing, input_value={'passwo':...nter2'}, input_type=dict]",
    ),
    (
        f"[{{'loc': ('body', 'password'), 'msg': 'No', 'input': {M}, 'url': 'x'}}]",
        "[{'loc': ('body', 'password'), 'msg': 'No', 'input': 'hunter2', 'url': 'x'}]",
    ),
    (
        f'{{"loc": ["pin"], "msg": "No", "input": {M}, "url": "x"}}',
        '{"loc": ["pin"], "msg": "No", "input": 4711, "url": "x"}',
    ),
    (
        f'{{\\"loc\\": [\\"pin\\"], \\"input\\": {M}}}',
        '{\\"loc\\": [\\"pin\\"], \\"input\\": \\"47\\"}',
    ),
    # hashes of passwords
    (f"hash {M} stored", f"hash $2b$12$NotARealHash{'a' * 41} stored"),
    (f"hash {M}", "hash $argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$bm90YXJlYWxoYXNoYXRhbGw"),
    (f"hash {M}", "hash pbkdf2_sha256$600000$notasalt$bm90YXJlYWxoYXNoYXRhbGw="),
    (f"hash {M}", "hash pbkdf2:sha256:600000$notasalt$6e6f7461726561" + "6c68617368"),
    (f"hash {M}", "hash scrypt:32768:8:1$notasalt$6e6f7461726561" + "6c68617368"),
    (f"hash {M}", "hash $6$notasalt$bm90YXJlYWxoYXNoYXRhbGw"),
    # numbers
    (f"card {M}.", "card 4111111111111111."),
    (f"card {M} exp 12/30", "card 4111 1111 1111 1111 exp 12/30"),
    (f"card {M}", "card 5500-0000-0000-0004"),
    (f"card {M}", "card 3782 822463 10005"),
    (f"paid {M} 12/29 123", "paid 4111 1111 1111 1111 12/29 123"),
    (f"2026-01-01 {M}", "2026-01-01 4111111111111111"),
    (f"{M} 2026-01-01 ok", "4111111111111111 2026-01-01 ok"),
    (f"12:01:02 {M} charged", "12:01:02 4111111111111111 charged"),
    (f"order 17 {M} amount 20", "order 17 4111111111111111 amount 20"),
    (f"order 5000 {M}", "order 5000 4111 1111 1111 1111"),
    (f"{M} 123", "4111 1111 1111 1111 123"),
    (f"{M} {M}", "4111 1111 1111 1111 5500 0000 0000 0004"),
    (f"{M}-1", "4111111111111111-1"),
    (f"card=4 {M}", "card=4 4111.1111.1111.1111"),
    (f"card {M}", "card 2223 0031 2200 3222"),
    (f"card {M}", "card 3056 930902 5904"),
    (f"to {M} now", "to DE89370400440532013000 now"),
    (f"to {M} NOW", "to GB82 WEST 1234 5698 7654 32 NOW"),
    (f"to {M}", "to NO93 8601 1117 947"),
]

UNTOUCHED = [
    "author=Ann passenger=2 compass=N monkey=1 keyboard=de",
    "primary_key=7 foreign_key=8 sort_key=9",
    "token_count=5 max_tokens=100 token_type=bearer",
    "secretary='Ann' tokenizer='bpe' pinned=True spin=3",
    "docker run -u 1000:1000 shop",
    "pass the salt, please: 12 times",
    "the Basic plan costs 5",
    "Basic authentication failed for ann",
    "Bearer authentication required",
    "Bearer bonds rose",
    "Token expired",
    "unexpected token: '}'".replace("'}'", "}"),
    "invalid password: too short",
    "password is required",
    "Enter your password: ",
    "session closed by peer",
    "SELECT id FROM users WHERE token = ? AND id = 7",
    "SELECT id FROM users WHERE token = %s",
    "SELECT id FROM users WHERE token = %(token)s",
    "SELECT id FROM users WHERE password = :password_1",
    "SELECT id FROM users WHERE token = $1",
    "SELECT 1 FROM a JOIN b ON a.token = b.token",
    'null value in column "password" violates not-null constraint',
    "UNIQUE constraint failed: users.token",
    "if password == other: raise",
    "token=None, secret=null, pin=undefined",
    "password='********' token='%s' pin=\"{}\"",
    "password='', token=\"\"",
    "password=******** user=ann",
    "DATABASE_URL=${DATABASE_URL} TOKEN=${TOKEN}",
    "usage: login --password",
    "pass --token to log in",
    "fields ['password', 'email'] are missing",
    "550e8400-e29b-41d4-a716-446655440000",
    "12345678-1234-4321-8765-123456789012",
    "order 4111111111111112 is late",
    "order 1234567890123456 is late",
    "at 1700000000000 ms, 0.4111111111111111 of 3",
    "order 17 of 2026-01-01 12:01:02 costs 4111.50",
    "at 2026-01-01 1767225600000 and 1767225600000000",
    "message 417700000000000007 of 4177000000000003 is late",
    "tracking 9400 1000 0000 0000 0000 00, part 5000-1234-0001-0002",
    "ids 4000 4001 4002 4003 4004 4005 4006 4007 4008 4009 4010 4111 1111 1111 1111",
    "12345678-4111-1111-1111-111111111111",
    "card_id=cus_4111111111111111 4111111111111111.5 0.4111111111111111",
    "call 0049 3090 1820 4111 or 555-0100-4111-1111",
    "ids 31 42 43 44 45 46 47 48",
    "commit 28dac26f8a7d9e1b0c3d5e6f7a8b9c0d1e2f3a4b",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "version 2.0.41.post1+local",
    "call +49 30 901820 or (555) 123-4567",
    "ann@example.com from 192.0.2.1 and 2001:db8::1",
    "DE00370400440532013000 is no account, DE89 3704 0044 is none, nor AB12345678901234567",
    "('password', 'text', 1) are its arguments",
    "http://shop.example:8080/a?mail=b@c",
    "https://shop.example/@ann/posts",
    "git@github.com:ann/shop.git",
    'File "/srv/shop/session.py", line 27, in open_session',
    "shop.auth.tokens.TokenError in shop.session:refresh",
    "disk-usage-of-everything task-runner-number-5",
    "npm_config_registry hf_transfer pypi-attestations",
    "eyJ is how they begin",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    "<token> expected, <password></password> found",
    "key 'SKU-1' not in {'SKU-2': 3}",
    "amount\n  No [type=int_parsing, input_value='12x', input_type=str]\n    For",
    "[{'loc': ('body', 'amount'), 'msg': 'No', 'input': '12x'}, {'loc': ('pin',), 'msg': 'No'}]",
    "input_value='' and 'loc': () and 'loc': here, input",
    "PIN: yes, OTP: sent, MFA: required",
    "pin: 3 of 4, pins: 1.5, cvv: ok",
    "at line 12: pinned: 4711",
    "mfa_enabled=True mfa_method=app",
    "cannot insert into 'users' table: it's full",
    "insert into the slot: don't",
    "INSERT INTO a (b) VALUES (?)\nit's there, isn't it",
    "identified by 'ann', with 'bob'",
    "wrong password 'for' that user",
    "Incorrect number of values: 'a' for b",
    "Key (a)(b) and Key (c) = (d)",
    "price $2 and $5 or $6, scrypt is slow, pbkdf2_sha256 too",
    "größe=5 naïve=True 数=7",
    "",
]

SOURCE = [
    (f'login("ann", password={M})', 'login("ann", password="x1")'),
    (f'{{"user": "ann", "password": {M}}}', '{"user": "ann", "password": "x1"}'),
    (f'if pw == {M} and name == "ann":', 'if pw == "x1" and name == "ann":'),
    (f"if user.token != {M}:", "if user.token != 'x1':"),
    (f'def login(pw={M}, name="ann"):', 'def login(pw="x1", name="ann"):'),
    (f'def f(token, pw: str = {M}, a="b"):', 'def f(token, pw: str = "x1", a="b"):'),
    (f'pw: "str | None" = {M}'.replace('"str | None"', M), 'pw: "str | None" = "x1"'),
    (f"secret = {M}", "secret = f'x1{salt}'"),
    (f"secret = {M}", "secret = b'x1'"),
    (f"secret = {M} + {M}", "secret = 'x1' + 'y2'"),
    (f"secret = given or {M}", "secret = given or 'x1'"),
    (f"PIN = {M}", "PIN = 123456"),
    (f"TOKENS = [{M}, {M}]", "TOKENS = ['x1', 'y2']"),
    (f'pw = os.getenv("PW", {M})', 'pw = os.getenv("PW", "x1")'),
    (f"SECRET = (\n    {M}\n    {M}\n)", "SECRET = (\n    'x1'\n    'y2'\n)"),
    (f"SECRET = {M}\n\n", 'SECRET = """x1\ny2\n"""'),
    (f'connect("host=db password={M} user=a")', 'connect("host=db password=x1 user=a")'),
    (f'get("https://ann:{M}@h/")', 'get("https://ann:x1@h/")'),
    (f'key = "{M}"', f'key = "{GITHUB}"'),
    (f"{{password: {M}, name: 'ann'}}", "{password: 'x1', name: 'ann'}"),
    (f"password = SecretStr({M})", 'password = SecretStr("x12")'),
    (f"password = str({M})", 'password = str("x12")'),
    (f"secret = base64.b64decode({M})", 'secret = base64.b64decode("eDEy")'),
    (f'pw = environ.get("X", {M})', 'pw = environ.get("X", "x12")'),
    (f'pw = getenv("X", default={M})', 'pw = getenv("X", default="x12")'),
    (f'pw = Field(default={M}, title="Of ann")', 'pw = Field(default="x12", title="Of ann")'),
    (f'pw = getattr(o, "password", {M})', 'pw = getattr(o, "password", "x12")'),
    (f"password += {M}", 'password += "x12"'),
    (f'user, password = "ann", {M}', 'user, password = "ann", "x12"'),
    (f'password, user = {M}, "ann"', 'password, user = "x12", "ann"'),
    (f"user, *passwords = ({M}, {M})", 'user, *passwords = ("ann", "x12")'),
    (f"password = other = {M}", 'password = other = "x12"'),
    (f'setattr(o, "password", {M})', 'setattr(o, "password", "x12")'),
    (f'config.set("password", {M})', 'config.set("password", "x12")'),
    (f"auth = HTTPBasicAuth({M}, {M})", 'auth = HTTPBasicAuth("ann", "x12")'),
    (f'TOKENS = {{{M}: {{"b": [{M}]}}}}'.replace('"b"', M), 'TOKENS = {"a1": {"b": ["x12"]}}'),
    (f'q = f"password={M}&user={{u}}"', 'q = f"password=x12&user={u}"'),
    (f'url = f"https://x/?token={M}&u={{u}}"', 'url = f"https://x/?token=x12&u={u}"'),
    (f"login(f\"{{user}} password={M} {{'a'}}\")", "login(f\"{user} password=x12 {'a'}\")"),
    (
        f"PASSWORDS = [\n{M},\n" + f"{M},\n" * 150 + "]",
        "PASSWORDS = [\n'x',\n" + "'x',\n" * 150 + "]",
    ),
    (f"self.session_secret: Final = {M}", 'self.session_secret: Final = "x1"'),
]

SOURCE_UNTOUCHED = [
    'password = form["password"]',
    'token = request.headers.get("x-trace")',
    "password = getpass()",
    "token: str | None = None",
    'def login(password: str, name: str = "ann"): ...',
    'session = Session("shop")',
    'if token: return "ok"',
    'author = "Ann"',
    'q = f"password={pw}&token={t!r}&a={{}}"',
    'h = {"X": f"Authorization: Bearer {token}", "Y": f\'password="{pw}"\'}',
    "log.info(\"token='%s', password={}\", token)",
    'password = getpass("Password: ")',
    'password = config.get("db", "password")',
    'password = input("Password: ").strip(" ")',
    'password: str = Field(min_length=1234, description="At least 12")',
    'token = jwt.encode({"sub": "ann"}, key, algorithm="HS256")',
    'user, password = "ann", read()',
    'login(password, user="ann")',
    'setattr(o, "name", "ann")',
    'count += "password"',
    'cookie = b"; ".join(cookies) or token == ":"',
    'replace(password="********", token=b"", pin=\'\')',
    'headers.add("Authorization", f"Bearer {self.token}")',
    '__all__ = ["Auth", "BasicAuth", "NetRCAuth"]',
    'KEYS = ("REMOTE_ADDR", "REMOTE_PORT", "HTTP_HOST")',
    'def token():\n  "Return one."',
    'log.info(f"token={token}")',
    'text("SELECT id FROM users WHERE token = :token")',
    'pw = ""',
    'if token > "a": pass',
    'fields = ("password", label)',
    "tokens = [[[[[[1]]]]]]",
    "# don't give the password\nname = 'ann'",
]


@pytest.mark.parametrize(("expected", "text"), MASKED)
def test_a_secret_goes_and_all_around_it_stays(expected: str, text: str):
    """Each form of a secret, and each way to give a sensitive name a value."""
    assert expected == scrub_text(text)


@pytest.mark.parametrize("text", UNTOUCHED)
def test_a_text_that_only_sounds_secret_stays(text: str):
    """Words, placeholders, identifiers and numbers that fail their check are no secrets."""
    assert text == scrub_text(text)


@pytest.mark.parametrize(("expected", "text"), MASKED)
def test_scrubbing_twice_changes_nothing_more(expected: str, text: str):
    """What was masked before, by us or by somebody before us, stays as it is."""
    assert expected == scrub_text(expected)


@pytest.mark.parametrize(("expected", "source"), SOURCE)
def test_a_literal_given_to_a_sensitive_name_goes(expected: str, source: str):
    """Whoever wrote a secret into the source does not find it in the database too."""
    assert expected == scrub_source(source)
    assert source.count("\n") == expected.count("\n")


@pytest.mark.parametrize("source", SOURCE_UNTOUCHED)
def test_code_that_only_handles_secrets_stays(source: str):
    """Names, calls and keys are code."""
    assert source == scrub_source(source)
