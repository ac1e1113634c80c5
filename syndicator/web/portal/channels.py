"""The forms of the channels: what each way out needs to know. A new channel that members set up themselves is a form here."""

from __future__ import annotations

from typing import Any, ClassVar

from wtforms import EmailField, PasswordField, SelectField, StringField, TextAreaField, URLField

from syndicator.domain.subscriptions import ChannelKind
from syndicator.web.forms import PageForm


class ChannelForm(PageForm):
    """Every form has a feed and an endpoint; every other field is an option of the channel, but for the credential."""

    kind: ClassVar[ChannelKind]
    title: ClassVar[str]
    words: ClassVar[str]

    feed = SelectField("Feed", validate_choice=False)
    endpoint: Any

    def options(self) -> dict[str, Any]:
        """Return what else the channel is told; what is left empty is left to the channel."""
        return {field.name: field.data for field in self if field.name not in {"feed", "endpoint", "credential"} and field.data}

    def secret(self) -> str:
        """Return what we log in with there, where the channel needs it."""
        return self["credential"].data or "" if "credential" in self else ""


class WebhookForm(ChannelForm):
    kind = ChannelKind.WEBHOOK
    title = "Webhook"
    words = "Each story, correction and kill is posted to your server as signed JSON, within seconds."
    endpoint = URLField(
        "Address of your server",
        description="A public https address that takes POST requests and answers 2xx.",
        render_kw={"required": True, "placeholder": "https://cms.example.org/hooks/stories"},
    )


class EmailForm(ChannelForm):
    kind = ChannelKind.EMAIL
    title = "E-mail"
    words = (
        "Stories come to a mailbox of yours, each at once or all of a day together. Corrections and kills always come at once."
    )
    endpoint = EmailField("Mailbox", description="Your contact address, or one at your own sites.", render_kw={"required": True})
    frequency = SelectField("How often", choices={"instant": "Each story at once", "daily": "Once a day"})
    hour = SelectField("The daily letter comes at", choices={str(hour): f"{hour}:00" for hour in range(24)}, default="7")
    timezone = StringField("Time zone", description="Such as Europe/Paris.", default="UTC")


class SftpForm(ChannelForm):
    kind = ChannelKind.SFTP
    title = "SFTP"
    words = "Each story is put as a file into a folder of your server. A kill is a new file that says so."
    endpoint = StringField("Server", render_kw={"required": True, "placeholder": "sftp://files.example.org:22"})
    user = StringField("User", render_kw={"required": True, "autocomplete": "off"})
    credential = TextAreaField(
        "Password or private key",
        description="Kept encrypted; nobody can read it here again.",
        render_kw={"rows": 3, "required": True},
    )
    host_key = TextAreaField(
        "The server's key",
        description="SHA256:… as ssh-keygen -lf prints it, or a line of ssh-keyscan. It lets us know that it is your server.",
        render_kw={"rows": 2, "required": True},
    )
    folder = StringField("Folder", default=".")
    format = SelectField(
        "Format",
        choices={"ninjs": "ninjs (JSON)", "newsml": "NewsML-G2 (XML)", "html": "HTML", "text": "Plain text", "jsonld": "JSON-LD"},
    )


class WordPressForm(ChannelForm):
    kind = ChannelKind.WORDPRESS
    title = "WordPress"
    words = "Each story becomes a post on your site, once; corrections update it, and a kill takes it off."
    endpoint = URLField("Your site", render_kw={"required": True, "placeholder": "https://www.example.org"})
    user = StringField("User", render_kw={"required": True, "autocomplete": "off"})
    credential = PasswordField(
        "Application password",
        description="Made in your WordPress under Users, Profile, Application Passwords. Kept encrypted.",
        render_kw={"required": True, "autocomplete": "off"},
    )
    status = SelectField(
        "New posts are", choices={"draft": "drafts", "pending": "waiting for review", "publish": "published at once"}
    )
    on_kill = SelectField("A killed story is", choices={"trash": "put into the trash", "draft": "made a draft"})
    default_category = StringField("Category", description="For stories of sections that you have none for.")


FORMS: dict[ChannelKind, type[ChannelForm]] = {form.kind: form for form in (WebhookForm, EmailForm, WordPressForm, SftpForm)}
