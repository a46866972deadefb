"""One notification as an e-mail: text and HTML, in one thread per incident."""

from datetime import UTC, datetime, tzinfo
from email.headerregistry import Address, HeaderRegistry, MessageIDHeader
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Final

from watchkeeper.notify.layout import html, plain
from watchkeeper.notify.notifier import Notification
from watchkeeper.notify.texts import Message, compose

MAX_ID: Final = 200  # characters: a header line holds it whole

# A header of no known type is cut into encoded words above 78 characters, and then names nothing.
_HEADERS: Final = HeaderRegistry()
for _name in ("in-reply-to", "references"):
    _HEADERS.map_to_type(_name, MessageIDHeader)  # type: ignore[arg-type]  # typeshed has it narrow
# Not every server on the way takes 8 bits.
_POLICY: Final = SMTP.clone(cte_type="7bit", header_factory=_HEADERS)


def make_mail(
    notification: Notification,
    *,
    sender: Address,
    recipients: tuple[Address, ...],
    zone: tzinfo = UTC,
) -> EmailMessage:
    """Return the mail, whose Message-ID is the same over every attempt.

    A sender without a name goes by the service's, for that is what a lock screen shows. What
    follows on an earlier message of the incident (`thread` in the payload) is an answer to it.
    """
    message = compose(notification, zone=zone)
    mail = EmailMessage(policy=_POLICY)
    mail["From"] = _named(sender, message)
    mail["To"] = recipients
    mail["Subject"] = message.title
    mail["Date"] = format_datetime(datetime.fromtimestamp(notification.at, tz=UTC))
    mail["Message-ID"] = message_id(notification.id, sender)
    thread = notification.payload.get("thread")
    if isinstance(thread, str) and thread.strip() and thread != notification.id:
        mail["In-Reply-To"] = message_id(thread, sender)
        mail["References"] = message_id(thread, sender)
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"  # Exchange: no notes of absence
    if message.severity == "critical" and not message.resolved:
        mail["Importance"] = "high"
    mail.set_content(plain(message))
    mail.add_alternative(html(message), subtype="html")
    return mail


def message_id(notification_id: str, sender: Address) -> str:
    """Return the Message-ID of a notification: its id at the sender's domain."""
    kept = "".join(
        char if char.isascii() and (char.isalnum() or char in "-_.") else "-"
        for char in notification_id[:MAX_ID]
    )
    return f"<{kept}@{sender.domain}>"


def _named(sender: Address, message: Message) -> Address:
    if sender.display_name or not message.source:
        return sender
    return Address(display_name=message.source, username=sender.username, domain=sender.domain)
