"""`python -m rebalancer.simulators.binance_server`: the exchange as somebody's child."""

from rebalancer.simulators.binance_server.child import main

if __name__ == "__main__":
    main()
