-- +goose Up

-- Times are microseconds since 1970 UTC. Money is text: decimal amount, and its currency beside it. Documents are JSON
-- text. Texts compare byte by byte.

-- The end of the ledger: one row, locked by every commit.
CREATE TABLE head (
  id            integer PRIMARY KEY CHECK (id = 1),
  seq           integer NOT NULL,
  chain         blob    NOT NULL,
  root          blob    NOT NULL,
  at            integer NOT NULL,
  registrations integer NOT NULL
) STRICT;

-- The ledger: everything that can alter a decision, in one order.
CREATE TABLE entry (
  seq          integer PRIMARY KEY,
  at           integer NOT NULL,
  kind         text    NOT NULL,
  subject      text    NOT NULL,
  key_id       text    NOT NULL,
  role         text    NOT NULL,
  idem_key     text,
  request_hash blob,
  answer       blob,
  encoding     integer NOT NULL, -- of body: 0 plain, 1 zstd
  body         blob    NOT NULL,
  leaf         blob    NOT NULL,
  chain        blob    NOT NULL,
  size         integer NOT NULL
) STRICT;
CREATE UNIQUE INDEX entry_idempotency ON entry (key_id, idem_key) WHERE idem_key IS NOT NULL;

-- Personal data, apart from what is hashed. Erasing sets salt and value to NULL.
CREATE TABLE personal (
  seq   integer NOT NULL REFERENCES entry,
  n     integer NOT NULL,
  field text    NOT NULL,
  salt  blob,
  value text,
  PRIMARY KEY (seq, n)
) STRICT, WITHOUT ROWID;

-- Hashes of the Merkle tree, by stored-hash index.
CREATE TABLE node (
  i    integer PRIMARY KEY,
  hash blob NOT NULL
) STRICT;

-- What the outside is to be told.
CREATE TABLE event (
  id           text PRIMARY KEY,
  seq          integer NOT NULL REFERENCES entry,
  type         text    NOT NULL,
  subject      text    NOT NULL,
  at           integer NOT NULL,
  body         blob    NOT NULL,
  delivered_at integer
) STRICT;
CREATE INDEX event_waiting ON event (seq) WHERE delivered_at IS NULL;

CREATE TABLE registration (
  id              text PRIMARY KEY,
  number          text    NOT NULL UNIQUE,
  partner_id      text    NOT NULL,
  distributor_id  text,
  status          text    NOT NULL,
  customer_key    text    NOT NULL,
  customer_name   text    NOT NULL,
  account_id      text,
  external_id     text,
  amount          text,
  currency        text,
  received_at     integer NOT NULL,
  protected_from  integer,
  protected_until integer,
  decision_id     text    NOT NULL,
  case_id         text,
  seq             integer NOT NULL REFERENCES entry,
  version         integer NOT NULL REFERENCES entry,
  doc             text    NOT NULL
) STRICT;
CREATE INDEX registration_partner     ON registration (partner_id, id);
CREATE INDEX registration_distributor ON registration (distributor_id, id) WHERE distributor_id IS NOT NULL;
CREATE INDEX registration_customer    ON registration (customer_key, id);

-- Live exclusive claims, cell by cell: the second wall against two holders of one identical scope.
CREATE TABLE holder (
  registration_id text    NOT NULL REFERENCES registration,
  customer_key    text    NOT NULL,
  line            text    NOT NULL, -- * is every line
  site            text    NOT NULL, -- * is the whole customer
  shared          integer NOT NULL,
  starts_at       integer NOT NULL,
  ends_at         integer NOT NULL,
  PRIMARY KEY (registration_id, line, site)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX holder_one ON holder (customer_key, line, site) WHERE shared = 0;

-- Decisions by registration; the decision itself is in the body of its entry.
CREATE TABLE decision (
  seq             integer PRIMARY KEY REFERENCES entry,
  id              text    NOT NULL UNIQUE,
  registration_id text    NOT NULL,
  at              integer NOT NULL,
  outcome         text    NOT NULL,
  disposition     text,
  reason          text    NOT NULL,
  policy          text    NOT NULL,
  policy_version  integer NOT NULL
) STRICT;
CREATE INDEX decision_registration ON decision (registration_id, seq);

CREATE TABLE escalation (
  id              text PRIMARY KEY,
  registration_id text    NOT NULL,
  status          text    NOT NULL,
  queue           text    NOT NULL,
  opened_at       integer NOT NULL,
  due_at          integer,
  assignee        text,
  version         integer NOT NULL REFERENCES entry,
  doc             text    NOT NULL
) STRICT;
CREATE INDEX escalation_registration ON escalation (registration_id);

CREATE TABLE account (
  id text PRIMARY KEY, name text NOT NULL, name_fold text NOT NULL, domain text, country text, region text, city text,
  status text, owner text, named integer NOT NULL, parent_id text, doc text NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX account_name ON account (name_fold);

CREATE TABLE opportunity (
  id text PRIMARY KEY, account_id text, account_name text, name_fold text NOT NULL, stage text, status text NOT NULL,
  led_by text NOT NULL, partner_id text, owner text, amount text, currency text, doc text NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX opportunity_account ON opportunity (account_id) WHERE account_id IS NOT NULL;

CREATE TABLE partner (
  id text PRIMARY KEY, name text NOT NULL, name_fold text NOT NULL, type text, tier text, status text, country text,
  distributor_id text, doc text NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE person (
  id text PRIMARY KEY, name text NOT NULL, name_fold text NOT NULL, email text, manager text, doc text NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE product (
  id text PRIMARY KEY, name_fold text NOT NULL, line text NOT NULL, class text, core integer NOT NULL, doc text NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE rate (
  id text PRIMARY KEY, name_fold text NOT NULL, date text NOT NULL, from_currency text NOT NULL, to_currency text NOT NULL,
  rate text NOT NULL, doc text NOT NULL
) STRICT, WITHOUT ROWID;

-- Policies and territory plans, every version as written.
CREATE TABLE document (
  kind    text    NOT NULL,
  version integer NOT NULL,
  name    text    NOT NULL,
  digest  text    NOT NULL,
  status  text    NOT NULL,
  doc     text    NOT NULL,
  PRIMARY KEY (kind, version)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX document_live ON document (kind) WHERE status = 'live';

CREATE TABLE api_key (
  id         text PRIMARY KEY,
  role       text    NOT NULL,
  created_at integer NOT NULL,
  revoked_at integer,
  doc        text    NOT NULL
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE api_key; DROP TABLE document; DROP TABLE rate; DROP TABLE product; DROP TABLE person; DROP TABLE partner;
DROP TABLE opportunity; DROP TABLE account; DROP TABLE escalation; DROP TABLE decision; DROP TABLE holder;
DROP TABLE registration; DROP TABLE event; DROP TABLE node; DROP TABLE personal; DROP TABLE entry; DROP TABLE head;
