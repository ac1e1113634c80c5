"""One verb per module. An operation is handed a session whose transaction its caller owns, and never waits inside one."""
