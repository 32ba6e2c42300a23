"""Pages for people: the cashier where a payer pays, and later the consoles. Server-rendered, no foreign request."""
