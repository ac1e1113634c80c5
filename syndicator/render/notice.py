"""The notice: puts the free-use sentence at the foot of a story, exactly once, with the license beside it.

Every body that leaves goes through `html_with_notice` or `text_with_notice`. A withdrawn story has no body any more: a sentence
that says so stands in its place, followed by the notice like everything else that leaves, since it names whom to ask.
The embargo and what a correction put right are told here too, so that no format can forget them.
"""

from __future__ import annotations

from html import escape

from syndicator.domain.stories import PubStatus
from syndicator.reasons import Reason
from syndicator.render.entry import Entry, Terms, terms_beside
from syndicator.render.plain import cleaned, one_line, plain_text, summary_of, whole_second


def notice_html(terms: Terms) -> str:
    """Return the notice as one paragraph of HTML: the sentence unbroken by other words, then the license link."""
    sentence = escape(terms.notice_text)
    address = escape(terms.contact_email)
    linked = sentence.replace(address, f'<a href="mailto:{address}">{address}</a>', 1)
    license_link = f'<a rel="license" href="{escape(terms.license_url)}">{escape(terms.license_title)}</a>'
    return f'<p class="syndication-notice">{linked} <br>{license_link}</p>'


def notice_text(terms: Terms) -> str:
    """Return the notice as plain text: the sentence on one line, the license on the next."""
    return f"{terms.notice_text}\n{terms.license_title}: {terms.license_url}"


def html_with_notice(entry: Entry, terms: Terms) -> str:
    """Return the story's body as HTML with the notice at its foot; of a withdrawn story only that it is withdrawn."""
    return "\n".join([body_html(entry), notice_html(cleaned(terms_beside(entry, terms)))])


def summary_with_notice(entry: Entry, terms: Terms) -> str:
    """Return the summary as HTML with the notice at its foot; of a withdrawn story only that it is withdrawn."""
    told = withdrawal(entry) if entry.withdrawn else summary_of(entry)
    return f"<p>{escape(cleaned(told))}</p>\n{notice_html(cleaned(terms_beside(entry, terms)))}"


def text_with_notice(entry: Entry, terms: Terms) -> str:
    """Return the story's body as plain text with the notice at its foot; of a withdrawn story only that it is withdrawn."""
    return "\n\n".join([body_text(entry), notice_text(cleaned(terms_beside(entry, terms)))])


def body_html(entry: Entry) -> str:
    """Return the story's body without the notice, for renderers that put something between the two."""
    return "\n".join(_html_parts(cleaned(entry)))


def body_text(entry: Entry) -> str:
    """Return `body_html` as plain text."""
    return plain_text(body_html(entry))


def title_of(entry: Entry) -> str:
    """Return the headline in one line, never empty; of a withdrawn story one that says so."""
    return withdrawn_title(entry) if entry.withdrawn else one_line(entry.headline) or "Untitled"


def withdrawn_title(entry: Entry) -> str:
    """Return a headline that cannot be taken for the story: it is repeated, since people must find their copy by it."""
    word = "KILLED" if entry.status is PubStatus.CANCELED else "TAKEN DOWN"
    return f"{word}: {one_line(entry.headline)}"


def withdrawal(entry: Entry) -> str:
    """Say in plain text that the story must not be used, and why where a reason was given."""
    reason = Reason.KILLED if entry.status is PubStatus.CANCELED else Reason.TAKEN_DOWN
    why = one_line(entry.withdrawn_reason)
    return f"{reason.words} Reason: {why}" if why else reason.words


def embargo(entry: Entry) -> str:
    """Say in plain text until when the story may not be published; empty when nothing holds it back."""
    if entry.embargoed_until is None:
        return ""
    return f"EMBARGOED until {whole_second(entry.embargoed_until):%Y-%m-%d %H:%M} UTC. Do not publish before."


def editors_note(entry: Entry) -> str:
    """What editors must know before all else: that it is withdrawn, held back, or put right; then the newsroom's own note."""
    correction = one_line(entry.correction_note)
    notes = [
        withdrawal(entry) if entry.withdrawn else "",
        embargo(entry),
        f"Correction: {correction}" if correction else "",
        entry.ednote,
    ]
    return "\n".join(note for note in notes if note)


def _html_parts(entry: Entry) -> list[str]:
    if entry.withdrawn:
        return [f"<p><strong>{escape(withdrawal(entry))}</strong></p>"]
    parts = [entry.body_html]
    if told := embargo(entry):
        parts.insert(0, f'<p class="embargo"><strong>{told}</strong></p>')
    if note := one_line(entry.correction_note):
        parts.append(f'<p class="correction"><strong>Correction:</strong> {escape(note)}</p>')
    if entry.left_out:
        parts.append(f'<p class="left-out">{"<br>".join(map(escape, entry.left_out))}</p>')
    return parts
