-- +goose Up

-- Events are told in the order of the ledger: outbox says how far that is. Whose they are is written with them.
DROP INDEX event_waiting;
ALTER TABLE event DROP COLUMN delivered_at;
ALTER TABLE event ADD COLUMN registration_id text NOT NULL DEFAULT '';
ALTER TABLE event ADD COLUMN partner_id text;
ALTER TABLE event ADD COLUMN distributor_id text;
CREATE INDEX event_seq ON event (seq, id);

CREATE TABLE outbox (
  id  integer PRIMARY KEY CHECK (id = 1),
  seq integer NOT NULL -- events up to this entry have become jobs
) STRICT;
INSERT INTO outbox VALUES (1, COALESCE((SELECT seq FROM head), 0));

-- Work beside the ledger. Not a part of it.
CREATE TABLE job (
  n            integer PRIMARY KEY AUTOINCREMENT, -- order of enqueueing
  id           text    NOT NULL UNIQUE,
  kind         text    NOT NULL,
  key          text    NOT NULL,
  topic        text    NOT NULL,
  lane         text    NOT NULL, -- of a lane, one is done at a time, in the order of n; '' is no lane
  payload      text    NOT NULL,
  state        text    NOT NULL CHECK (state IN ('waiting', 'done', 'dead')),
  run_at       integer NOT NULL,
  attempts     integer NOT NULL,
  lease        text    NOT NULL,
  leased_until integer,
  error        text    NOT NULL,
  log          text    NOT NULL,
  created_at   integer NOT NULL,
  done_at      integer
) STRICT;
CREATE UNIQUE INDEX job_key ON job (kind, key) WHERE state = 'waiting';
CREATE INDEX job_due   ON job (run_at, n) WHERE state = 'waiting';
CREATE INDEX job_lane  ON job (lane, n) WHERE state = 'waiting' AND lane <> '';
CREATE INDEX job_topic ON job (topic, n);
CREATE INDEX job_ended ON job (done_at) WHERE done_at IS NOT NULL;

-- Addresses that are told of events, with the secrets that sign.
CREATE TABLE webhook (
  id  text PRIMARY KEY,
  doc text NOT NULL
) STRICT;

-- +goose Down
DROP TABLE webhook; DROP TABLE job; DROP TABLE outbox; DROP INDEX event_seq;
ALTER TABLE event DROP COLUMN distributor_id; ALTER TABLE event DROP COLUMN partner_id; ALTER TABLE event DROP COLUMN registration_id;
ALTER TABLE event ADD COLUMN delivered_at integer;
CREATE INDEX event_waiting ON event (seq) WHERE delivered_at IS NULL;
