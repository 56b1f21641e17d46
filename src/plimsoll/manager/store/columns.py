"""Types of columns that mean the same in every database; the tables and the migrations are made of these.

SQLite compares texts byte by byte and its whole numbers have 64 bits. PostgreSQL would sort by the language of whoever
made the database, so that pages and the newest of some versions would come out otherwise; and its INTEGER has 32 bits,
which generations and sequences, being at least the time, outgrow in 2038.
"""

from __future__ import annotations

import sqlalchemy as sa

from plimsoll.manager.store.extras import OracleText, SqlServerText

TEXT = (
    sa.Text()
    .with_variant(sa.Text(collation="C"), "postgresql")
    .with_variant(SqlServerText(), "mssql")
    .with_variant(OracleText(), "oracle")
)

#: SQLite's own row number is an INTEGER and nothing else, and takes no index of its own.
LONG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

#: What stands for a NUL in a text: PostgreSQL's hold none, and a stranger's may.
NUL = "\N{SYMBOL FOR NULL}"
