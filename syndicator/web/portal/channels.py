"""The forms of the channels: what each way out needs to know. A new channel that members set up themselves is a form here."""

from __future__ import annotations

from typing import Any, ClassVar

from wtforms import SelectField, URLField

from syndicator.domain.subscriptions import ChannelKind
from syndicator.web.forms import PageForm


class ChannelForm(PageForm):
    """Every form has a feed and an endpoint; `options` returns what else the channel is told."""

    kind: ClassVar[ChannelKind]
    title: ClassVar[str]
    words: ClassVar[str]

    feed = SelectField("Feed", validate_choice=False)
    endpoint: Any

    def options(self) -> dict[str, Any]:
        return {}


class WebhookForm(ChannelForm):
    kind = ChannelKind.WEBHOOK
    title = "Webhook"
    words = "Each story, correction and kill is posted to your server as signed JSON, within seconds."
    endpoint = URLField(
        "Address of your server",
        description="A public https address that takes POST requests and answers 2xx.",
        render_kw={"required": True, "placeholder": "https://cms.example.org/hooks/stories"},
    )


FORMS: dict[ChannelKind, type[ChannelForm]] = {form.kind: form for form in (WebhookForm,)}
