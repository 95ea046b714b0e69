"""W1's peer: the same bytes through a third party as plain gRPC, stored and forwarded, with no cryptography but TLS.

The same flavour of gRPC (asyncio), mutual TLS with certificates of the same kind, chunks of 256 KiB in the same
messages (mailbox.proto), three processes as with us: sender, relay, recipient. The relay writes four chunks at a time
in a thread and calls fsync once before it answers, as a mailbox does. What it leaves out: every check, statement, key,
database, interceptor, quarantine and second copy. The recipient writes a file and does not fsync it.
"""
