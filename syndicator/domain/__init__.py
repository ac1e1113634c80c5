"""The nouns as mapped classes, and the rules that need nothing but values: no Flask, network, clock or query."""
