"""One module a noun: what each OSS operation does, between the protocol above and the storage below."""
