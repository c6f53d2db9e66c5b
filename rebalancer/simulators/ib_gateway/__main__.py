"""`python -m rebalancer.simulators.ib_gateway`: the gateway, with its spec on stdin."""

from rebalancer.simulators.ib_gateway.child import main

if __name__ == "__main__":
    main()
