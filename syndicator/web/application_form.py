"""The application form: one list of questions, asked at /apply and, once the address is confirmed, in the portal.

What is typed is checked by domain/answers.py; here are only the questions, their hints, and how they look.
"""

from __future__ import annotations

from typing import Any

from wtforms import EmailField, RadioField, StringField, TextAreaField, URLField

from syndicator.domain.answers import Answers
from syndicator.web.forms import PageForm

PASSES_ON = {"no": "No, only we publish them", "yes": "Yes, others get them from us"}
AI_USE = {
    "none": "No",
    "assist": "Yes, as a help to our editors, who check the result",
    "products": "Yes, in products that answer readers or train models",
}
NUMBER = {"inputmode": "numeric", "autocomplete": "off"}


class ApplicationForm(PageForm):
    """Field names are those of Answers."""

    organisation = StringField("Organisation", description="As readers know it.", render_kw={"autocomplete": "organization"})
    legal_name = StringField("Legal name", description="If it is another.", render_kw={"autocomplete": "off"})
    country = StringField("Country", render_kw={"autocomplete": "country-name"})
    languages = StringField("Languages you publish in", render_kw={"autocomplete": "off"})
    sites = TextAreaField(
        "Sites on which the stories will appear",
        description="One a line, such as courier.example. Only sites that are yours; you prove it later.",
        render_kw={"rows": 3, "autocomplete": "off", "spellcheck": "false"},
    )
    about_url = URLField("“About” page", description="Says who is behind the site.", render_kw={"autocomplete": "off"})
    corrections_url = URLField(
        "Corrections page", description="Says how you correct mistakes.", render_kw={"autocomplete": "off"}
    )
    editorial_name = StringField("Editorial contact", description="Whom a correction or kill must reach at once.")
    editorial_email = EmailField("E-mail address of the editorial contact")
    technical_name = StringField("Technical contact", description="If it is somebody else.")
    technical_email = EmailField("E-mail address of the technical contact")
    licensing_name = StringField("Contact for licensing", description="If it is somebody else.")
    licensing_email = EmailField("E-mail address of the contact for licensing")
    newsletter_reach = StringField("Newsletter subscribers", render_kw=NUMBER)
    app_reach = StringField("Monthly app users", render_kw=NUMBER)
    print_reach = StringField("Printed copies", render_kw=NUMBER)
    broadcast_reach = StringField("Monthly listeners and viewers", render_kw=NUMBER)
    use = TextAreaField("Where and how will the stories appear?", render_kw={"rows": 4})
    passes_on = RadioField("Will anybody else get the stories from you?", choices=PASSES_ON, validate_choice=False)
    ai_use = RadioField("Will the stories be used with AI?", choices=AI_USE, validate_choice=False)
    ai_words = TextAreaField("If so, how?", render_kw={"rows": 2})
    referrer = StringField("How did you hear of us?")
    remarks = TextAreaField("Anything else?", render_kw={"rows": 2})

    def given(self) -> dict[str, Any]:
        """What was typed, by the names of Answers."""
        return {name: self[name].data or "" for name in Answers.model_fields}


SECTIONS = (
    ("You", "", ("organisation", "legal_name", "country", "languages")),
    ("Your sites", "", ("sites", "about_url", "corrections_url")),
    (
        "Whom we reach",
        "",
        ("editorial_name", "editorial_email", "technical_name", "technical_email", "licensing_name", "licensing_email"),
    ),
    (
        "Other reach",
        "Leave open what you do not have. The figures of your sites are asked for after the first step.",
        ("newsletter_reach", "app_reach", "print_reach", "broadcast_reach"),
    ),
    ("The stories", "", ("use", "passes_on", "ai_use", "ai_words", "referrer", "remarks")),
)


def as_typed(answers: Answers) -> dict[str, Any]:
    """Return stored answers as the form shows them."""
    shown = answers.stored()
    shown["sites"] = "\n".join(answers.sites)
    return {name: f"{value:,}" if isinstance(value, int) else value for name, value in shown.items()}
