-- +goose Up

-- Published pictures of the accounts and their index: what a replica may believe of the bytes it finds elsewhere. Not a
-- part of the ledger.
CREATE TABLE snapshot (
  digest blob    PRIMARY KEY, -- SHA-256
  seq    integer NOT NULL REFERENCES entry,
  chain  blob    NOT NULL,    -- of that entry
  format text    NOT NULL,
  bytes  integer NOT NULL,
  at     integer NOT NULL
) STRICT, WITHOUT ROWID;

-- Their bytes, up to a mebibyte each, for a start without Redis; piece 0 says what the others are.
CREATE TABLE snapshot_chunk (
  digest blob    NOT NULL,
  i      integer NOT NULL,
  body   blob    NOT NULL,
  PRIMARY KEY (digest, i)
) STRICT;

-- The entries that change reference data: what a picture of the accounts has to catch up with.
CREATE INDEX entry_records ON entry (seq) WHERE kind IN ('records.imported', 'records.deleted');

-- +goose Down
DROP INDEX entry_records; DROP TABLE snapshot_chunk; DROP TABLE snapshot;
