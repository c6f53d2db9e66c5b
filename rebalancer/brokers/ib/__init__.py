"""Interactive Brokers through ib_insync or ib_async: the only room that speaks them."""
