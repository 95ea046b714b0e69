"""One association's house: its cases, its keys, its people, and both halves of its transfers."""
