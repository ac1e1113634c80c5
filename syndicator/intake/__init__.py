"""One module per way in. All yield the same StoryDraft, and every draft passes the one door in `clean.py`."""
