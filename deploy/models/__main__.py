"""`make models`: the catalogue, by the memory of boards. Nothing is fetched, and no board is asked."""

from deploy.models.catalogue.table import NOTES, automatic_line, catalogue_rows, usual_boards
from deploy.onboard.release.release_table import aligned_lines


def main() -> None:
    boards = usual_boards()
    print("\n".join([*aligned_lines(catalogue_rows(boards, repack=True)), "", automatic_line(boards), NOTES]))


if __name__ == "__main__":
    main()
