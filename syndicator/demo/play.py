"""The demo's steps. Each does one thing a user would do, and prints the proof that it worked; one that fails ends the demo."""

from __future__ import annotations

import html
import json
import re
import threading
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import requests
from lxml import etree

from syndicator.clock import utc_now
from syndicator.demo.stage import FOLDER, Receiver, Service, StepFailed, receiver, service, take, wait_until

STORIES = Path(__file__).parent / "stories"
ATOM = {"a": "http://www.w3.org/2005/Atom", "at": "http://purl.org/atompub/tombstones/1.0"}
FRESH: dict[str, Any] = {
    "headline": "River Gauge Network Goes Live Ahead Of Spring Floods",
    "summary": "Two hundred gauges now report the river every minute.",
    "body_html": "<p>Two hundred gauges along the river now report its height every minute, the county said.</p>"
    "<p>The first alert is expected in March.</p>",
    "byline": ["Lena Ortiz"],
    "section": "Military and Defense",
    "tags": ["Floods"],
}


@dataclass
class Show:
    """What the steps hand on to each other."""

    site: Service
    partner: Receiver
    newsroom_key: str = ""
    partner_key: str = ""
    token: str = ""
    etag: str = ""
    story: dict[str, Any] = field(default_factory=dict)
    counted: int = 0

    def tell(self, title: str) -> None:
        self.counted += 1
        print(f"\n{self.counted}. {title}", flush=True)


def prove(claim: str, holds: object, seen: object = "") -> None:
    """Print the claim with what was seen, or raise StepFailed."""
    if not holds:
        raise StepFailed(f"{claim}: {seen}")
    print(f"   ✓ {claim}{f': {seen}' if seen != '' else ''}", flush=True)


def run_demo(*, once: bool) -> int:
    """Play every step; returns the exit status. Without `once` the service stays up until Ctrl-C."""
    base_folder = Path.cwd()
    print("Syndicator demo: the real service, a database of its own, one partner. Everything stays on this machine.")
    try:
        with service(base_folder) as site, receiver() as partner:
            show = Show(site, partner)
            for step in STEPS:
                step(show)
            print(f"\nAll {show.counted} steps proved.", flush=True)
            _pages(show)
            if not once:
                print("\nThe service stays up; Ctrl-C ends it.", flush=True)
                threading.Event().wait()
    except StepFailed as failure:
        print(f"   ✗ {failure}\n\nThe demo failed; the service's log is in {FOLDER / 'serve.log'}.", flush=True)
        return 1
    except KeyboardInterrupt:
        print("\nGood-bye.")
    return 0


# -- the steps -------------------------------------------------------------------------------------------------------------------


def take_in(show: Show) -> None:
    show.tell("Stories come in: copied page text, a saved web page, a JSON document")
    paths = [str(path) for path in sorted(STORIES.iterdir())]
    for taken in show.site.command("story", "import", *paths):
        print(f"   {Path(taken['location']).name}: {taken['headline']}")
    known = show.site.command("story", "list")
    prove("three stories are stored", len(known) == 3, [story["headline"] for story in known])
    show.site.command("story", "import", *paths)
    prove("the same input again makes nothing new", len(show.site.command("story", "list")) == 3)


def read_feeds(show: Show) -> None:
    show.tell("Feeds go out: the same entries in RSS, Atom and JSON Feed, each with the notice once")
    found = {
        fmt: wait_until(lambda fmt=fmt: _entries(show, "latest", fmt), f"entries in {fmt}") for fmt in ("rss", "atom", "json")
    }
    ids = {fmt: [entry_id for entry_id, _ in entries] for fmt, entries in found.items()}
    prove("entry ids are equal in all three", ids["rss"] == ids["atom"] == ids["json"], ids["atom"])
    notice = show.site.config.notice.text
    for fmt, entries in found.items():
        counts = [_plain(content).count(notice) for _, content in entries]
        prove(f"{fmt}: the notice stands once in every entry", set(counts) == {1}, counts)
    answer = show.site.get("/feeds/latest.atom")
    prove("the license is linked", 'rel="license"' in answer.headers["Link"], answer.headers["Link"])


def poll_again(show: Show) -> None:
    show.tell("A reader polls again and is told that nothing changed")
    first = show.site.get("/feeds/latest.rss", **{"Accept-Encoding": "gzip"})
    again = show.site.get("/feeds/latest.rss", **{"Accept-Encoding": "gzip", "If-None-Match": first.headers["ETag"]})
    prove("304, not a byte of body", again.status_code == 304 and not again.content, f"ETag {again.headers['ETag']}")


def refuse_the_unapproved(show: Show) -> None:
    show.tell("A publisher applies; until it is approved its key is refused, with the reason")
    made = show.site.command(
        "publisher", "add", "The Valley Courier", "--domain", "valleycourier.example", "--email", "wire@valleycourier.example"
    )
    show.partner_key = show.site.command("key", "create", "--publisher", made["id"])["key"]
    refused = show.site.send("GET", "/v1/stories", None, show.partner_key)
    problem = refused.json()
    prove("refused", refused.status_code == 403, f"{refused.status_code} {problem['reason']}: {problem['detail']}")
    private = show.site.get("/feeds/partners.rss")
    prove("the partner wire asks who is there", private.status_code == 401, private.json()["reason"])


def approve(show: Show) -> None:
    show.tell("The licensing team approves; the publisher takes a story by API and by its private feed")
    approved = show.site.command(
        "publisher", "approve", "valleycourier.example", "--reason", "240,000 monthly readers, evidence seen"
    )
    prove("approved", approved["state"] == "approved", f"until {approved['approved_until']}")
    page = show.site.send("GET", "/v1/stories", None, show.partner_key).json()
    prove("the API gives stories", len(page["stories"]) == 3, [story["headlines"][0]["value"] for story in page["stories"]])
    notice = show.site.config.notice.text
    prove(
        "the notice stands once in each",
        all(_plain(json.dumps(s, ensure_ascii=False)).count(notice) == 1 for s in page["stories"]),
    )
    show.token = show.site.command("token", "create", "--publisher", "valleycourier.example", "--feed", "partners")["token"]
    prove("the private feed opens with its token", show.site.get(f"/f/{show.token}/partners.rss").status_code == 200)


def subscribe(show: Show) -> None:
    show.tell("The partner subscribes: a signed webhook by API, and WebSub at the hub")
    order = {"feed": "latest", "channel": "webhook", "endpoint": f"{show.partner.url}/webhook"}
    made = show.site.send("POST", "/v1/subscriptions", order, show.partner_key)
    prove("webhook subscription made", made.status_code == 201, made.json()["id"])
    show.partner.secret = made.json()["secret"]
    topic = f"{show.site.base}/feeds/latest.atom"
    form = {
        "hub.mode": "subscribe",
        "hub.topic": topic,
        "hub.callback": f"{show.partner.url}/websub?reader=7",
        "hub.secret": show.partner.websub_secret,
    }
    taken = requests.post(f"{show.site.base}/hub", data=form, timeout=20)
    prove("the hub accepts", taken.status_code == 202, taken.text.strip())
    mode = take(show.partner.verified, "the hub's verification")
    prove("the hub verified the callback", mode == "subscribe", f"challenge echoed for {topic}")
    state = take(show.partner.websubs, "the topic as it stands")["body"]
    prove("and sent the topic as it stands", state.count(b"</entry>") == 3, f"{state.count(b'</entry>')} entries")


def push(show: Show) -> None:
    show.tell("The newsroom publishes; the partner has it at once, signed")
    show.newsroom_key = show.site.command("key", "create", "--newsroom")["key"]
    wait_until(lambda: len(show.site.command("subscription", "list")) == 2, "both subscriptions")
    begun = monotonic()
    made = show.site.send("PUT", "/v1/newsroom/stories/river-gauges", FRESH, show.newsroom_key)
    prove("stored", made.status_code == 201, made.json()["uri"])
    show.story = made.json()
    arrived = take(show.partner.webhooks, "the webhook")
    prove(
        "webhook received, signature verified (Standard Webhooks)",
        arrived["payload"]["type"] == "story.published",
        f"{arrived['id']} after {(arrived['at'] - begun) * 1000:.0f} ms",
    )
    prove("the notice stands once in the pushed story", _notices(show, arrived["payload"]["data"]["story"]) == 1)
    pushed = take(show.partner.websubs, "the WebSub push")
    prove(
        "WebSub push received, X-Hub-Signature verified",
        show.story["uri"].encode() in pushed["body"],
        f"{len(pushed['body'])} bytes of {pushed['headers']['content-type']}",
    )
    again = show.site.send("PUT", "/v1/newsroom/stories/river-gauges", FRESH, show.newsroom_key)
    prove("the same story again changes nothing", again.status_code == 200, again.json()["outcome"])
    ids = [entry_id for entry_id, _ in _entries(show, "latest", "json")]
    prove("the document a poller gets held it before the push left", show.story["uri"] in ids)


def embargo(show: Show) -> None:
    show.tell("A story under embargo is nowhere until its time, and then everywhere")
    until = utc_now() + timedelta(seconds=6)
    held = FRESH | {"headline": "Budget Numbers, Held Until The Minute", "embargoed_until": until.isoformat()}
    made = show.site.send("PUT", "/v1/newsroom/stories/budget", held, show.newsroom_key).json()
    listed = show.site.send("GET", "/v1/stories", None, show.partner_key).text
    page = show.site.get(f"/stories/{made['id']}")
    absent = (
        made["uri"] not in listed
        and page.status_code == 404
        and all(made["uri"] not in show.site.get(f"/feeds/latest.{fmt}").text for fmt in ("rss", "atom", "json"))
    )
    prove("absent from feeds, API and pages", absent and utc_now() < until, f"page says {page.status_code}")
    arrived = take(show.partner.webhooks, "the lifted embargo")
    prove("released and pushed", arrived["payload"]["type"] == "story.embargo_lifted" and utc_now() >= until)
    take(show.partner.websubs, "the WebSub push")


def correct(show: Show) -> None:
    show.tell("A correction reaches the partner ahead of ordinary traffic, and says what was wrong")
    order = {
        "note": "An earlier version gave the number of gauges as 200; there are 220.",
        "body_html": FRESH["body_html"].replace("Two hundred", "220"),
    }
    show.site.send("POST", "/v1/newsroom/stories/river-gauges/correct", order, show.newsroom_key)
    arrived = take(show.partner.webhooks, "the correction")
    data = arrived["payload"]["data"]
    prove("correction received", arrived["payload"]["type"] == "story.corrected", f"version {data['story']['version']}")
    take(show.partner.websubs, "the WebSub push")
    entry = dict(_entries(show, "latest", "atom"))[show.story["uri"]]
    prove("same id in the feed, new text, the note beside it", "220" in entry and "earlier version" in entry)


def kill(show: Show) -> None:
    show.tell("A kill: the partner is told, and every door is shut")
    order = {"reason": "The county withdrew its figures."}
    show.site.send("POST", "/v1/newsroom/stories/river-gauges/kill", order, show.newsroom_key)
    arrived = take(show.partner.webhooks, "the kill")
    prove(
        "kill received, without content",
        arrived["payload"]["type"] == "story.killed" and not arrived["payload"]["data"]["story"].get("bodies"),
        arrived["payload"]["data"]["story"]["pubStatus"],
    )
    take(show.partner.websubs, "the WebSub push")
    atom: Any = etree.fromstring(show.site.get("/feeds/latest.atom").content)
    tombs = atom.xpath("//at:deleted-entry/@ref", namespaces=ATOM)
    prove("tombstone in Atom (RFC 6721)", tombs == [show.story["uri"]], tombs)
    rss = show.site.get("/feeds/latest.rss").text
    prove("emptied KILLED entry in RSS", "KILLED" in rss and "220 gauges" not in rss)
    page = show.site.get(f"/stories/{show.story['id']}")
    refused = show.site.send("GET", f"/v1/stories/{show.story['id']}", None, show.partner_key)
    prove("page and API say gone", page.status_code == refused.status_code == 410, refused.json()["reason"])


def suspend(show: Show) -> None:
    show.tell("The licensing team suspends the publisher; everything refuses from that moment")
    show.site.command("publisher", "suspend", "valleycourier.example", "--reason", "Stories appeared without the notice")
    refused = show.site.send("GET", "/v1/stories", None, show.partner_key)
    prove("API refused", refused.status_code == 403, refused.json()["reason"])
    closed = show.site.get(f"/f/{show.token}/partners.rss")
    prove("private feed refused", closed.status_code == 403, closed.json()["reason"])
    show.site.command("publisher", "reinstate", "valleycourier.example", "--reason", "The notice is back")
    prove("reinstated", show.site.send("GET", "/v1/stories", None, show.partner_key).status_code == 200)


STEPS = (
    take_in,
    read_feeds,
    poll_again,
    refuse_the_unapproved,
    approve,
    subscribe,
    push,
    embargo,
    correct,
    kill,
    suspend,
)


# -- reading what comes back -----------------------------------------------------------------------------------------------------


def _entries(show: Show, feed: str, fmt: str) -> list[tuple[str, str]]:
    """Return (id, content) of every entry of a feed document that is not withdrawn."""
    answer = show.site.get(f"/feeds/{feed}.{fmt}")
    if answer.status_code != 200:
        return []
    if fmt == "json":
        return [(item["id"], item.get("content_html", "")) for item in answer.json()["items"] if "KILLED" not in item["title"]]
    root: Any = etree.fromstring(answer.content)
    if fmt == "atom":
        path, entry_id, content = "//a:entry", "string(a:id)", "string(a:content)"
    else:
        path, entry_id, content = "//item", "string(guid)", "string(*[local-name()='encoded'])"
    return [
        (entry.xpath(entry_id, namespaces=ATOM), entry.xpath(content, namespaces=ATOM))
        for entry in root.xpath(path, namespaces=ATOM)
    ]


def _plain(markup: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", markup))


def _notices(show: Show, story: dict[str, Any]) -> int:
    return _plain(json.dumps(story, ensure_ascii=False)).count(show.site.config.notice.text)


def _pages(show: Show) -> None:
    base = show.site.base
    staff = show.site.command("user", "add", "desk@newsroom.example", "--role", "admin")
    partner = show.site.command("publisher", "invite", "valleycourier.example", "wire@valleycourier.example")
    print("\nPages to open:")
    for address, words in (
        (f"{base}/", "front page"),
        (f"{base}/feeds", "the feeds"),
        (f"{base}/license", "the license behind the notice"),
        (f"{base}/apply", "how a publisher applies"),
        (f"{base}/v1/docs", "the API's reference"),
        (f"{base}/stories/{show.story['id']}", "the killed story, as readers now see it"),
        (staff["link"], "the desk: signs you in once, as its administrator"),
        (partner["link"], "the portal: joins you to The Valley Courier, in another browser or a private window"),
    ):
        print(f"   {address}\n      {words}")
    print(f"\nTry it yourself: .venv/bin/syndicator --config {show.site.config_path} story list")
