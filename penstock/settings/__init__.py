"""HOME: what a person configured, read, judged and changed.

`home` names the files, `choices` are the settings with their defaults, bounds and comments, `reading` turns the two files
into `Settings` and `Registry`, `writing` changes them under a lock, `naming` makes ids and secrets, `editing` holds the verbs
of `... add`, `roots` says which directories may be served. This room reads and writes penstock.toml and secrets.toml and
nothing else; it knows no service and no network.
"""
