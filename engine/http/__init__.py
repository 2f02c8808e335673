"""Talking to a server that may be anyone's: its address, and requests with bounds on time, bytes and nesting."""
