"""Where a column gets its numbers from changes on tables with rows: the next one is a new one."""

from __future__ import annotations

import pytest

from tests.support.project import Project
from tests.test_changed_types import begin, changed

SERIAL = "mapped_column(sa.Integer, primary_key=True)"
BIG = "mapped_column(sa.BigInteger, primary_key=True)"
IDENTITY = "mapped_column(sa.Integer, sa.Identity(), primary_key=True)"
ALWAYS = "mapped_column(sa.BigInteger, sa.Identity(always=True, increment=10), primary_key=True)"
PLAIN = "mapped_column(sa.Integer, primary_key=True, autoincrement=False)"
NAMED = "mapped_column(sa.Integer, TICKET, server_default=TICKET.next_value(), primary_key=True)"
# As programs write models from a database: the sequence is named, and no column owns it.
UNOWNED = (
    "mapped_column(sa.Integer, sa.Sequence('{0}_id_seq'),"
    " server_default=sa.text(\"nextval('{0}_id_seq')\"), primary_key=True)"
)
# Before and after, of a table for each; what is inserted by hand, and the next two numbers.
CHANGES = {
    "serial_to_identity": (SERIAL, IDENTITY),
    "serial_to_big": (SERIAL, BIG),
    "serial_to_big_identity": (SERIAL, ALWAYS),
    "serial_to_plain": (SERIAL, PLAIN),
    "plain_to_serial": (PLAIN, SERIAL),
    "plain_to_identity": (PLAIN, IDENTITY),
    "identity_to_serial": (IDENTITY, SERIAL),
    "identity_to_plain": (IDENTITY, PLAIN),
    "plain_to_named": (PLAIN, NAMED),
    "serial_to_unowned": (SERIAL, UNOWNED),
    "unowned_to_serial": (UNOWNED, SERIAL),
    "Mixed Case": (SERIAL, IDENTITY),
    "a_name_that_is_so_long_that_its_sequence_cannot_have_all_of_it": (PLAIN, SERIAL),
}
SEQUENCES = "SELECT sequencename FROM pg_sequences WHERE schemaname = 'public'"
HEAD = 'TICKET = sa.Sequence("ticket", metadata=Base.metadata)\n'


def models(project: Project, which: int) -> None:
    project.models(
        HEAD * any(change[which] == NAMED for change in CHANGES.values())
        + "".join(
            f"\n\nclass T{number}(Base):\n    __tablename__ = {name!r}\n"
            f"    id = {change[which].format(name)}\n"
            "    note = mapped_column(sa.Text)\n"
            for number, (name, change) in enumerate(CHANGES.items())
        )
    )


def insert_everywhere(project: Project, which: int) -> None:
    for name, change in CHANGES.items():
        if change[which] != PLAIN:
            # A key that is there already would fail.
            project.query(f"INSERT INTO \"{name}\" (note) VALUES ('drawn'), ('drawn')")


def test_the_next_number_is_past_those_of_the_rows(project: Project) -> None:
    models(project, 0)
    begin(project)
    insert_everywhere(project, 0)
    for name, change in CHANGES.items():
        if name == "serial_to_big":
            continue
        # Past what a sequence has drawn, as after a restore without sequences.
        highest = 1000 if change[0] == PLAIN else 3
        project.query(f"INSERT INTO \"{name}\" VALUES ({highest}, 'by hand')")
    # Numbers that were drawn and deleted are not given again.
    project.query("SELECT setval('serial_to_identity_id_seq', 50)")
    project.query("SELECT setval('identity_to_serial_id_seq', 60)")
    models(project, 1)
    said = changed(project)
    assert "sequence of column" in said
    assert "and how far it has counted" not in said
    project.run("upgrade").succeeded()
    project.run("verify").succeeded()
    insert_everywhere(project, 1)
    highest = {name: project.query(f'SELECT max(id) FROM "{name}"')[0][0] for name in CHANGES}
    assert highest["serial_to_identity"] == 52
    assert highest["identity_to_serial"] == 62
    assert highest["plain_to_serial"] == highest["plain_to_named"] == 1002
    assert sequences(project) == {*expected(1), "ticket"}
    project.query("SELECT setval('serial_to_big_id_seq', 5)")
    project.run("downgrade").succeeded()
    insert_everywhere(project, 0)
    assert sequences(project) == expected(0)
    assert project.query("SELECT max(id) FROM serial_to_identity") == [(54,)]
    project.run("upgrade").succeeded()
    insert_everywhere(project, 1)


def expected(which: int) -> set[str]:
    """Return the sequences of the columns, called as the server calls them."""
    found = {
        f"{name}_id_seq" for name, change in CHANGES.items() if change[which] not in (PLAIN, NAMED)
    }
    long = "a_name_that_is_so_long_that_its_sequence_cannot_have_all_of_it"
    return {name if long not in name else name[:59] + "_seq" for name in found}


def sequences(project: Project) -> set[str]:
    return {str(name) for (name,) in project.query(SEQUENCES)}


def test_a_number_that_only_the_larger_type_holds_keeps_the_downgrade_back(
    project: Project,
) -> None:
    table = "class One(Base):\n    __tablename__ = 'ones'\n    id = {}\n"
    project.models(table.format(SERIAL))
    begin(project, rows="INSERT INTO ones DEFAULT VALUES")
    # A table that was renamed keeps the name of its sequence, which is read.
    project.revision("renamed", "op.execute('ALTER TABLE ones RENAME TO many')")
    project.models(
        table.format(BIG)
        .replace("'ones'", "'many'")
        .replace(
            "    id",
            "    __table_args__ = (sa.PrimaryKeyConstraint('id', name='pk_ones'),)\n    id",
        )
        .replace(", primary_key=True", ", autoincrement=True")
    )
    project.run("upgrade").succeeded()
    said = changed(project)
    assert "refused: downgrade, where a value of many.id does not fit integer" in said
    text = project.newest_file.read_text()
    assert "ALTER SEQUENCE public.ones_id_seq AS bigint" in text
    assert "ALTER SEQUENCE public.ones_id_seq AS integer" in text
    project.run("upgrade").succeeded()
    kind = "SELECT data_type::text, max_value FROM pg_sequences WHERE schemaname = 'public'"
    assert project.query(kind) == [("bigint", 9223372036854775807)]
    project.query("SELECT setval('ones_id_seq', 3000000000)")
    project.query("INSERT INTO many DEFAULT VALUES")
    project.run("downgrade").failed(1)
    assert project.query("SELECT max(id) FROM many") == [(3000000001,)]
    project.query("DELETE FROM many WHERE id > 9; SELECT setval('ones_id_seq', 9)")
    project.run("downgrade").succeeded()
    assert project.query(kind) == [("integer", 2147483647)]
    project.query("INSERT INTO many DEFAULT VALUES")
    assert project.query("SELECT max(id) FROM many") == [(10,)]


@pytest.mark.parametrize(("before", "after"), [(SERIAL, IDENTITY), (IDENTITY, SERIAL)])
def test_a_renamed_table_whose_numbers_come_from_elsewhere_now_gets_its_sequence_back(
    project: Project, before: str, after: str
) -> None:
    """It is called as before, for the second upgrade to find it."""
    table = "class One(Base):\n    __tablename__ = {!r}\n    id = {}\n"
    project.models(table.format("ones", before))
    begin(project, rows="INSERT INTO ones DEFAULT VALUES")
    project.models(table.format("many", after))
    command = "create-migration", "-m", "change", "--rename", "ones:many"
    project.run(*command).succeeded()
    project.run("upgrade").succeeded()
    assert project.query("INSERT INTO many DEFAULT VALUES RETURNING id") == [(2,)]
    project.run("downgrade").succeeded()
    assert project.query(SEQUENCES) == [("ones_id_seq",)]
    assert project.query("INSERT INTO ones DEFAULT VALUES RETURNING id") == [(3,)]
    project.run("upgrade").succeeded()
    assert project.query("INSERT INTO many DEFAULT VALUES RETURNING id") == [(4,)]
