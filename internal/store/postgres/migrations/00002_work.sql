-- +goose Up

DROP INDEX event_waiting;
ALTER TABLE event DROP COLUMN delivered_at,
  ADD COLUMN registration_id text COLLATE "C" NOT NULL DEFAULT '',
  ADD COLUMN partner_id text COLLATE "C",
  ADD COLUMN distributor_id text COLLATE "C";
CREATE INDEX event_seq ON event (seq, id);
COMMENT ON COLUMN event.registration_id IS 'Registration whose order it keeps.';
COMMENT ON COLUMN event.partner_id IS 'Registrant at that time; NULL for what no partner may read.';
COMMENT ON COLUMN event.distributor_id IS 'Distributor at that time.';

CREATE TABLE outbox (
  id  integer PRIMARY KEY CHECK (id = 1),
  seq bigint  NOT NULL
);
INSERT INTO outbox VALUES (1, COALESCE((SELECT seq FROM head), 0));
COMMENT ON TABLE  outbox IS 'How far events have become jobs: one row, locked by who makes them.';
COMMENT ON COLUMN outbox.id IS 'Always 1.';
COMMENT ON COLUMN outbox.seq IS 'Events up to this entry have.';

CREATE TABLE job (
  n            bigint      PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  id           text COLLATE "C" NOT NULL UNIQUE,
  kind         text COLLATE "C" NOT NULL,
  key          text COLLATE "C" NOT NULL,
  topic        text COLLATE "C" NOT NULL,
  lane         text COLLATE "C" NOT NULL,
  payload      json        NOT NULL,
  state        text COLLATE "C" NOT NULL CHECK (state IN ('waiting', 'done', 'dead')),
  run_at       timestamptz NOT NULL,
  attempts     integer     NOT NULL,
  lease        text COLLATE "C" NOT NULL,
  leased_until timestamptz,
  error        text COLLATE "C" NOT NULL,
  log          json        NOT NULL,
  created_at   timestamptz NOT NULL,
  done_at      timestamptz
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX job_key ON job (kind, key) WHERE state = 'waiting';
CREATE INDEX job_due   ON job (run_at, n) WHERE state = 'waiting';
CREATE INDEX job_lane  ON job (lane, n) WHERE state = 'waiting' AND lane <> '';
CREATE INDEX job_topic ON job (topic, n);
CREATE INDEX job_ended ON job (done_at) WHERE done_at IS NOT NULL;
COMMENT ON TABLE  job IS 'Work beside the ledger, leased by whoever does it. Not a part of the ledger.';
COMMENT ON COLUMN job.n IS 'Order of enqueueing.';
COMMENT ON COLUMN job.id IS 'job_ and a ULID.';
COMMENT ON COLUMN job.kind IS 'What is to be done.';
COMMENT ON COLUMN job.key IS 'Unique for its kind while it waits.';
COMMENT ON COLUMN job.topic IS 'What it belongs to, such as a webhook.';
COMMENT ON COLUMN job.lane IS 'Of a lane, one is done at a time, in the order of n; empty is no lane.';
COMMENT ON COLUMN job.payload IS 'What it is about.';
COMMENT ON COLUMN job.state IS 'waiting, done, or dead: given up.';
COMMENT ON COLUMN job.run_at IS 'Not before.';
COMMENT ON COLUMN job.attempts IS 'How often it was claimed.';
COMMENT ON COLUMN job.lease IS 'Of who is at it, or was last.';
COMMENT ON COLUMN job.leased_until IS 'From then on another may claim it.';
COMMENT ON COLUMN job.error IS 'Of the last attempt.';
COMMENT ON COLUMN job.log IS 'What came of the attempts.';
COMMENT ON COLUMN job.created_at IS 'When it was enqueued.';
COMMENT ON COLUMN job.done_at IS 'When it was done or given up.';

CREATE TABLE webhook (
  id  text COLLATE "C" PRIMARY KEY,
  doc json NOT NULL
);
COMMENT ON TABLE  webhook IS 'Addresses that are told of events. Not a part of the ledger.';
COMMENT ON COLUMN webhook.id IS 'wh_ and a ULID.';
COMMENT ON COLUMN webhook.doc IS 'The webhook, with the secrets that sign what it is sent.';

-- +goose Down
DROP TABLE webhook, job, outbox;
DROP INDEX event_seq;
ALTER TABLE event DROP COLUMN registration_id, DROP COLUMN partner_id, DROP COLUMN distributor_id, ADD COLUMN delivered_at timestamptz;
CREATE INDEX event_waiting ON event (seq, id) WHERE delivered_at IS NULL;
