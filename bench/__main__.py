"""Run every bench and print its figures: median, minimum and maximum over the repeats."""

from bench import client, collective, daemon, fleet, gemm, loader, startup, store, trainer

if __name__ == "__main__":
    startup.main()
    store.main()
    gemm.main()
    collective.main()
    client.main()
    daemon.main()
    loader.main()
    trainer.main()
    fleet.main([])
