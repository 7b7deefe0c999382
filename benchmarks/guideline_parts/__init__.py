"""Small experiments, one file a group, whose numbers the guidelines of the book rest on."""
