"""Run every bench and print its figures: median, minimum and maximum over the repeats."""

from bench import client, gemm, startup

if __name__ == "__main__":
    startup.main()
    gemm.main()
    client.main()
