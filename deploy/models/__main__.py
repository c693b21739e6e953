"""`make models`: the catalogue, by the memory of boards. Nothing is fetched, and no board is asked."""

import json

from deploy.controller.verb_parser import verb_parser
from deploy.models.catalogue.table import NOTES, automatic_line, catalogue_rows, usual_boards
from deploy.onboard.release.release_table import aligned_lines


def main() -> None:
    parser = verb_parser("models", "The catalogue, by the memory of boards.", "", "--json")
    parser.add_argument("--json", action="store_true", help="for a program that reads it")
    boards = usual_boards()
    if parser.parse_args().json:
        print(json.dumps(catalogue_rows(boards, repack=True)))
        return
    print("\n".join([*aligned_lines(catalogue_rows(boards, repack=True)), "", automatic_line(boards), NOTES]))


if __name__ == "__main__":
    main()
