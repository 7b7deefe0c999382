"""`python -m tbscale` is the same command as `tbscale`."""

from tbscale.cli import main

if __name__ == "__main__":
    main()
