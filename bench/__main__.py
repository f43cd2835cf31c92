"""Run every bench and print its figures: median, minimum and maximum over the repeats."""

from bench import client, collective, daemon, fleet, gemm, loader, startup, store

if __name__ == "__main__":
    startup.main()
    store.main()
    gemm.main()
    collective.main()
    client.main()
    daemon.main()
    loader.main()
    fleet.main([])
