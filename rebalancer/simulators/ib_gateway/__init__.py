"""A gateway that speaks the TWS protocol, over the simulated venue. Its profit means nothing."""
