"""W4's peer: the same remote calls as a case's transfer, with no database and no cryptography.

Three processes, as with us: a directory and two nodes. The same in both:

- the calls of a transfer, in the same order and of the same size: the tool's `OfferTransfer` and `AcceptTransfer` on a
  unix socket and `WatchTransfers` on each side; between nodes and directory `Submit` four times (offer, answer,
  shipment, receipt), `Stat`, `Put` and `Get` of the padded ciphertext, and four events on the two long-lived `Watch`
  streams;
- the messages: those of node.proto, directory.proto and mailbox.proto. Each statement's body has as many (random)
  bytes as that of a real transfer that went before it, signatures included, and so has the ciphertext;
- the server: `cordee.runtime.server.Server` with its options, behind the same `Gate`: bounds of every field, the
  connection guard (TLS version, key exchange, certificate, member by key digest), limits of each caller, deadlines;
- the client: channels of `cordee.runtime.tls` with mutual TLS;
- the driver (bench/driver.py), which cannot tell the two apart.

Left out: signatures, sealing, hashes and encryption but for TLS; parsing of statements; the transfer table; databases,
files, fsync; roster, acts, cases, minimisation, journal; sessions. The limits of each caller are counted but set too
high to be reached.

The same processes are also the line to read W4 by (`skeleton(…, protected=True)`): they then do exactly the
cryptography that the protocol demands, each in the process that does it in a real transfer, and still nothing else of
what is left out. `bench/skeleton/protected.py` lists it.
"""
