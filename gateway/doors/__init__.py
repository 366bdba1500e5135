"""Where bytes come in: protocol in, a call of the flow out, no decisions."""
