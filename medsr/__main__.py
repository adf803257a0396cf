"""`python -m medsr`"""

from medsr.cli import main

if __name__ == "__main__":
    main()
