"""`make models`: the catalogue, by the memory of boards. Nothing is fetched, and no board is asked."""

import argparse
import json

from deploy.models.catalogue.table import NOTES, automatic_line, catalogue_rows, usual_boards
from deploy.onboard.release.release_table import aligned_lines


def main() -> None:
    parser = argparse.ArgumentParser(prog="boardllama models", description=__doc__)
    parser.add_argument("--json", action="store_true", help="for a program that reads it")
    boards = usual_boards()
    if parser.parse_args().json:
        print(json.dumps(catalogue_rows(boards, repack=True)))
        return
    print("\n".join([*aligned_lines(catalogue_rows(boards, repack=True)), "", automatic_line(boards), NOTES]))


if __name__ == "__main__":
    main()
