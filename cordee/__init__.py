"""What both ends of the network must agree on: protocol, cryptography, casework. No I/O, no clock, no database."""
