"""deploy/build/licences.txt, which every board gets, is that of the source and the toolchain that are pinned."""

from deploy.build.artifact import LICENCES
from deploy.paths import cache_dir
from deploy.reference.licences import BEGINNING, RULE, licence_of, licences_text, same_text
from tests.build.builds import CPU, Make


def test_the_licences_are_those_of_what_is_built(built: Make) -> None:
    """`python -m deploy.reference.licences` writes them anew."""
    assert licences_text(cache_dir() / "builder", built(CPU)) == LICENCES.read_text()


def test_every_part_is_a_licence() -> None:
    """Where a package has no text of its own, its licence is named."""
    _, *parts = LICENCES.read_text().split(f"{RULE}\n")
    assert len(parts) > 20
    short = [part for part in parts if not BEGINNING.search(part)]
    assert [part for part in short if not any(word in part for word in ("Licence: ", "domain", "licen"))] == []


def test_copies_of_one_licence_are_one() -> None:
    one = licence_of("MIT License\n\nCopyright (c) 2020 Ann\n\nPermission is hereby granted, free\nof charge, to any\n")
    other = licence_of("/* Copyright 2021 Bob\n * Permission is hereby granted, free of charge,\n * to any */")
    assert same_text(one) == same_text(other)
    assert (one.notices, other.notices) == (("Copyright (c) 2020 Ann",), ("Copyright 2021 Bob",))
