"""The records of what was applied and reverted, in the database itself."""

# So many records of a run are written in the revisions' own transactions; a replay of a long
# history writes the rest several at a time, behind it.
AT_ONCE = 20
