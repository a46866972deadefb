"""A worker as it was at schema 3, in a process of its own: what it sends is written out here.

python earlier_worker.py URL    prints its number and each flush, until a line comes in
"""

import select
import sys
import time
import zlib

from sqlalchemy import create_engine, text

QUOTED = {"sqlite": "release", "postgresql": "release", "mysql": "`release`"}
IGNORE = {"sqlite": ("", " ON CONFLICT DO NOTHING"), "mysql": (" IGNORE", "")}
IGNORE["postgresql"] = IGNORE["sqlite"]
# A frame of series 5, a counter that grew by three, as schema 3 packed it.
FRAME = bytes.fromhex("01789c636064606060650091cc0c70c0c2800fb0a012c402000803001b")
ERROR = "1:00000000000000aa"
DATA = zlib.compress(b'{"note":"old"}')

engine = create_engine(sys.argv[1])
if engine.dialect.name != "sqlite":
    engine = engine.execution_options(isolation_level="READ COMMITTED")
release = QUOTED[engine.dialect.name]
insert, new_only = IGNORE[engine.dialect.name]

LOCK = text("UPDATE wk_meta SET value=wk_meta.value WHERE wk_meta.name = 'schema'")
WORKERS = text(
    "SELECT number FROM wk_worker WHERE service = 'shop' AND environment = 'production'"
    " AND seen_at >= :since ORDER BY seen_at DESC, id DESC"
)
REGISTER = text(
    f"INSERT INTO wk_worker (service, environment, {release}, host, number, pid, started_at,"
    " seen_at) VALUES ('shop', 'production', 'v1', 'old-host', :number, 1, :at, :at)"
)
ID = text("SELECT max(id) FROM wk_worker WHERE host = 'old-host'")
WRITE = text(
    f"INSERT{insert} INTO wk_frame (resolution, start, worker, sequence, part, rolled, format,"
    f" payload) VALUES (10, :start, :worker, :sequence, 0, 0, 1, :payload){new_only}"
)
AGAIN = text(
    "UPDATE wk_issue SET count=(wk_issue.count + 1),"
    " first_at=CASE WHEN (wk_issue.first_at > :at) THEN :at ELSE wk_issue.first_at END,"
    " last_at=CASE WHEN (wk_issue.last_at <= :at) THEN :at ELSE wk_issue.last_at END,"
    " last_release=CASE WHEN (wk_issue.last_at <= :at) THEN 'v1' ELSE wk_issue.last_release END"
    " WHERE wk_issue.id = 7"
)
COUNT = text(
    f"INSERT{insert} INTO wk_issue_count (issue, start, resolution, worker, sequence, count)"
    f" VALUES (7, :start, 10, :worker, :sequence, 1){new_only}"
)
EVENT = text(
    f"INSERT{insert} INTO wk_event (at, id, issue, fingerprint, method, route, status, {release},"
    f" request_id, path, data) VALUES (:at, :id, 7, '{ERROR}', 'POST', '/checkout', 500, 'v1',"
    f" '', '', :data){new_only}"
)
SAMPLE = text(
    f"INSERT{insert} INTO wk_sample (at, id, service, environment, reason, method, route, status,"
    f" duration_s, request_id, fingerprint, {release}, worker, data) VALUES (:at, :id, 'shop',"
    " 'production', 'failed', 'POST', '/checkout', 500, 0.25, '', '', 'v1', :worker, :data)"
    f"{new_only}"
)
HEARTBEAT = text("UPDATE wk_worker SET seen_at=:at WHERE id = :worker AND seen_at < :at")


def say(number: int) -> None:
    """Tell the process that started this one."""
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def main() -> None:
    """Register, then flush until told to stop; the slots go round within ten minutes."""
    with engine.begin() as connection:
        connection.execute(LOCK)
        taken = set(connection.execute(WORKERS, {"since": 7_110.0}).scalars())
        number = next(one for one in range(1, 99) if one not in taken)
        connection.execute(REGISTER, {"number": number, "at": 7_200.0})
        worker = connection.execute(ID).scalar_one()
    say(number)
    sequence = 0
    while not select.select([sys.stdin], [], [], 0)[0]:
        sequence += 1
        start = 7_200 + sequence % 60 * 10
        values = {
            "start": start,
            "at": start + 10.5,
            "worker": worker,
            "sequence": sequence,
            "payload": FRAME,
            "data": DATA,
            "id": f"{sequence:032x}",
        }
        with engine.begin() as connection:
            if connection.execute(WRITE, values).rowcount:
                for statement in (AGAIN, COUNT, EVENT, SAMPLE, HEARTBEAT):
                    connection.execute(statement, values)
        say(sequence)
        time.sleep(0.005)


if __name__ == "__main__":
    main()
