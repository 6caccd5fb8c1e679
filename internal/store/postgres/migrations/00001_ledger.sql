-- +goose Up

-- Texts compare byte by byte: COLLATE "C". Documents are json, not jsonb: they come back as they were written, whatever
-- they hold. A byte zero, or bytes that are no UTF-8, which text cannot hold, are written as U+10FFFF and a code.

CREATE TABLE head (
  id            integer PRIMARY KEY CHECK (id = 1),
  seq           bigint  NOT NULL CHECK (seq >= 0),
  chain         bytea   NOT NULL CHECK (seq = 0 OR octet_length(chain) = 32),
  root          bytea   NOT NULL CHECK (seq = 0 OR octet_length(root) = 32),
  at            timestamptz CHECK (at IS NOT NULL OR seq = 0),
  registrations bigint  NOT NULL CHECK (registrations >= 0)
) WITH (fillfactor = 10);
INSERT INTO head VALUES (1, 0, '', '', NULL, 0);
COMMENT ON TABLE  head IS 'The end of the ledger: one row, locked by every commit.';
COMMENT ON COLUMN head.id IS 'Always 1.';
COMMENT ON COLUMN head.seq IS 'Sequence of the last entry; 0 while there is none.';
COMMENT ON COLUMN head.chain IS 'Hash chain over all leaves.';
COMMENT ON COLUMN head.root IS 'Merkle root over all leaves (RFC 6962).';
COMMENT ON COLUMN head.at IS 'Recorded time of the last entry.';
COMMENT ON COLUMN head.registrations IS 'How many registrations have been numbered.';

CREATE TABLE entry (
  seq          bigint      PRIMARY KEY CHECK (seq > 0),
  at           timestamptz NOT NULL,
  kind         text COLLATE "C" NOT NULL,
  subject      text COLLATE "C" NOT NULL,
  key_id       text COLLATE "C" NOT NULL,
  role         text COLLATE "C" NOT NULL,
  idem_key     text COLLATE "C" CHECK (idem_key <> ''),
  request_hash bytea,
  answer       bytea,
  encoding     smallint    NOT NULL,
  body         bytea       NOT NULL,
  leaf         bytea       NOT NULL,
  chain        bytea       NOT NULL CHECK (octet_length(chain) = 32),
  size         bigint      NOT NULL CHECK (size >= seq)
);
CREATE UNIQUE INDEX entry_idempotency ON entry (key_id, idem_key) WHERE idem_key IS NOT NULL;
CREATE INDEX entry_records ON entry (seq) WHERE kind IN ('records.imported', 'records.deleted');
COMMENT ON TABLE  entry IS 'The ledger: everything that can alter a decision, in one order. Rows are never changed.';
COMMENT ON COLUMN entry.seq IS 'Place in the order, without gaps, from 1.';
COMMENT ON COLUMN entry.at IS 'Recorded time: what the decision was made as of. It never goes back.';
COMMENT ON COLUMN entry.kind IS 'What happened, such as registration.decided.';
COMMENT ON COLUMN entry.subject IS 'Id of what the entry is about.';
COMMENT ON COLUMN entry.key_id IS 'API key that asked; system and command-line are no keys.';
COMMENT ON COLUMN entry.role IS 'Role of that key.';
COMMENT ON COLUMN entry.idem_key IS 'Idempotency-Key of the request, unique for each API key.';
COMMENT ON COLUMN entry.request_hash IS 'SHA-256 of the request, to tell a retry from a reused key.';
COMMENT ON COLUMN entry.answer IS 'The answer given, byte for byte: canonical JSON.';
COMMENT ON COLUMN entry.encoding IS 'Of body: 0 plain, 1 zstd.';
COMMENT ON COLUMN entry.body IS 'What the entry changes, as JSON, without personal data; byte for byte what the leaf is a digest of.';
COMMENT ON COLUMN entry.leaf IS 'Bytes that are hashed into the Merkle tree.';
COMMENT ON COLUMN entry.chain IS 'Hash chain after this entry.';
COMMENT ON COLUMN entry.size IS 'Entries of the tree when this one was committed: what its receipt is against.';

CREATE TABLE personal (
  seq   bigint  NOT NULL REFERENCES entry,
  n     integer NOT NULL CHECK (n >= 0),
  field text COLLATE "C" NOT NULL,
  salt  bytea,
  value text COLLATE "C",
  PRIMARY KEY (seq, n)
);
COMMENT ON TABLE  personal IS 'Personal data, apart from what is hashed: the leaf holds a commitment. Erasing sets salt and value to NULL.';
COMMENT ON COLUMN personal.seq IS 'Entry it belongs to.';
COMMENT ON COLUMN personal.n IS 'Place among the entry''s commitments, from 0.';
COMMENT ON COLUMN personal.field IS 'What it is, such as contact.email.';
COMMENT ON COLUMN personal.salt IS '32 random bytes, the key of the commitment.';
COMMENT ON COLUMN personal.value IS 'The text itself.';

CREATE TABLE node (
  i    bigint PRIMARY KEY CHECK (i >= 0),
  hash bytea  NOT NULL
);
COMMENT ON TABLE  node IS 'Hashes of the Merkle tree.';
COMMENT ON COLUMN node.i IS 'Stored-hash index, in the order of golang.org/x/mod/sumdb/tlog.';
COMMENT ON COLUMN node.hash IS 'SHA-256, 32 bytes.';

CREATE TABLE event (
  id           text COLLATE "C" PRIMARY KEY,
  seq          bigint      NOT NULL REFERENCES entry,
  type         text COLLATE "C" NOT NULL,
  subject      text COLLATE "C" NOT NULL,
  at           timestamptz NOT NULL,
  body         bytea       NOT NULL,
  delivered_at timestamptz
);
CREATE INDEX event_waiting ON event (seq, id) WHERE delivered_at IS NULL;
COMMENT ON TABLE  event IS 'What the outside is to be told, written with the entry that caused it.';
COMMENT ON COLUMN event.id IS 'Stable over retries: receivers drop repetitions by it.';
COMMENT ON COLUMN event.seq IS 'Entry that caused it.';
COMMENT ON COLUMN event.type IS 'Such as dibs.registration.protected.v1.';
COMMENT ON COLUMN event.subject IS 'Id of what it is about.';
COMMENT ON COLUMN event.at IS 'Recorded time of the entry.';
COMMENT ON COLUMN event.body IS 'JSON, byte for byte as it is sent.';
COMMENT ON COLUMN event.delivered_at IS 'When it was delivered; NULL while it waits.';

CREATE TABLE registration (
  id              text COLLATE "C" PRIMARY KEY,
  number          text COLLATE "C" NOT NULL UNIQUE,
  partner_id      text COLLATE "C" NOT NULL,
  distributor_id  text COLLATE "C",
  status          text COLLATE "C" NOT NULL,
  customer_key    text COLLATE "C" NOT NULL,
  customer_name   text COLLATE "C" NOT NULL,
  account_id      text COLLATE "C",
  external_id     text COLLATE "C",
  amount          numeric,
  currency        text COLLATE "C",
  received_at     timestamptz NOT NULL,
  protected_from  timestamptz,
  protected_until timestamptz,
  decision_id     text COLLATE "C" NOT NULL,
  case_id         text COLLATE "C",
  seq             bigint      NOT NULL REFERENCES entry,
  version         bigint      NOT NULL REFERENCES entry CHECK (version >= seq),
  doc             json        NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX registration_partner     ON registration (partner_id, id);
CREATE INDEX registration_distributor ON registration (distributor_id, id) WHERE distributor_id IS NOT NULL;
CREATE INDEX registration_customer    ON registration (customer_key, id);
CREATE INDEX registration_account     ON registration (account_id, id) WHERE account_id IS NOT NULL;
CREATE INDEX registration_external    ON registration (external_id, id) WHERE external_id IS NOT NULL;
COMMENT ON TABLE  registration IS 'Deal registrations as they are now.';
COMMENT ON COLUMN registration.id IS 'reg_ and a ULID.';
COMMENT ON COLUMN registration.number IS 'Number people use, such as DR-2026-000123.';
COMMENT ON COLUMN registration.partner_id IS 'Registrant.';
COMMENT ON COLUMN registration.distributor_id IS 'Distributor named in it.';
COMMENT ON COLUMN registration.status IS 'As last written. A protection whose protected_until has passed holds nothing, whatever this says.';
COMMENT ON COLUMN registration.customer_key IS 'Account or prospect it was resolved to.';
COMMENT ON COLUMN registration.customer_name IS 'End customer as filed.';
COMMENT ON COLUMN registration.account_id IS 'Account it was resolved to, if it was one.';
COMMENT ON COLUMN registration.external_id IS 'The portal''s own id.';
COMMENT ON COLUMN registration.amount IS 'Amount of the deal as filed.';
COMMENT ON COLUMN registration.currency IS 'ISO 4217, of amount.';
COMMENT ON COLUMN registration.received_at IS 'When it was filed.';
COMMENT ON COLUMN registration.protected_from IS 'Start of the protection, or of the provisional hold of an escalated one; included.';
COMMENT ON COLUMN registration.protected_until IS 'Its end; not included.';
COMMENT ON COLUMN registration.decision_id IS 'Current decision.';
COMMENT ON COLUMN registration.case_id IS 'Case of an escalation.';
COMMENT ON COLUMN registration.seq IS 'Entry by which it was filed: its place in line.';
COMMENT ON COLUMN registration.version IS 'Entry that last changed it.';
COMMENT ON COLUMN registration.doc IS 'The whole registration, without personal data.';

CREATE TABLE holder (
  registration_id text COLLATE "C" NOT NULL REFERENCES registration,
  customer_key    text COLLATE "C" NOT NULL,
  line            text COLLATE "C" NOT NULL,
  site            text COLLATE "C" NOT NULL,
  shared          boolean     NOT NULL,
  starts_at       timestamptz NOT NULL,
  ends_at         timestamptz NOT NULL,
  PRIMARY KEY (registration_id, line, site)
);
CREATE UNIQUE INDEX holder_one ON holder (customer_key, line, site) WHERE NOT shared;
CREATE INDEX holder_customer ON holder (customer_key);
COMMENT ON TABLE  holder IS 'Live claims, cell by cell: the second wall against two holders of one identical scope.';
COMMENT ON COLUMN holder.registration_id IS 'Who holds.';
COMMENT ON COLUMN holder.customer_key IS 'Of whom: account or prospect.';
COMMENT ON COLUMN holder.line IS 'Product line; * is every line.';
COMMENT ON COLUMN holder.site IS 'Site; * is the whole customer.';
COMMENT ON COLUMN holder.shared IS 'Granted beside others, by name, by the policy.';
COMMENT ON COLUMN holder.starts_at IS 'Start, included.';
COMMENT ON COLUMN holder.ends_at IS 'End, not included.';

CREATE TABLE decision (
  seq             bigint      PRIMARY KEY REFERENCES entry,
  id              text COLLATE "C" NOT NULL UNIQUE,
  registration_id text COLLATE "C" NOT NULL,
  at              timestamptz NOT NULL,
  outcome         text COLLATE "C" NOT NULL CHECK (outcome IN ('protect', 'route', 'escalate')),
  disposition     text COLLATE "C",
  reason          text COLLATE "C" NOT NULL,
  policy          text COLLATE "C" NOT NULL,
  policy_version  integer     NOT NULL
);
CREATE INDEX decision_registration ON decision (registration_id, seq);
COMMENT ON TABLE  decision IS 'Decisions by registration; the decision itself, with its evidence, is in the body of its entry.';
COMMENT ON COLUMN decision.seq IS 'Entry that holds it.';
COMMENT ON COLUMN decision.id IS 'dec_ and a ULID.';
COMMENT ON COLUMN decision.registration_id IS 'What was decided.';
COMMENT ON COLUMN decision.at IS 'The instant it was decided as of.';
COMMENT ON COLUMN decision.outcome IS 'protect, route or escalate.';
COMMENT ON COLUMN decision.disposition IS 'Of a route: referred, co_sell, waitlisted, merged, returned or declined.';
COMMENT ON COLUMN decision.reason IS 'Reason codes, separated by spaces.';
COMMENT ON COLUMN decision.policy IS 'Name of the policy.';
COMMENT ON COLUMN decision.policy_version IS 'Its version.';

CREATE TABLE escalation (
  id              text COLLATE "C" PRIMARY KEY,
  registration_id text COLLATE "C" NOT NULL,
  status          text COLLATE "C" NOT NULL,
  queue           text COLLATE "C" NOT NULL,
  opened_at       timestamptz NOT NULL,
  due_at          timestamptz,
  assignee        text COLLATE "C",
  version         bigint      NOT NULL REFERENCES entry,
  doc             json        NOT NULL
);
CREATE INDEX escalation_registration ON escalation (registration_id);
COMMENT ON TABLE  escalation IS 'Cases: what people are to decide.';
COMMENT ON COLUMN escalation.id IS 'case_ and a ULID.';
COMMENT ON COLUMN escalation.registration_id IS 'What it is about.';
COMMENT ON COLUMN escalation.status IS 'open, and what follows.';
COMMENT ON COLUMN escalation.queue IS 'Who is to take it.';
COMMENT ON COLUMN escalation.opened_at IS 'Since when.';
COMMENT ON COLUMN escalation.due_at IS 'By when.';
COMMENT ON COLUMN escalation.assignee IS 'Person who has taken it.';
COMMENT ON COLUMN escalation.version IS 'Entry that last changed it.';
COMMENT ON COLUMN escalation.doc IS 'The whole case.';

CREATE TABLE account (
  id        text COLLATE "C" PRIMARY KEY,
  name      text COLLATE "C" NOT NULL,
  name_fold text COLLATE "C" NOT NULL,
  domain    text COLLATE "C",
  country   text COLLATE "C",
  region    text COLLATE "C",
  city      text COLLATE "C",
  status    text COLLATE "C",
  owner     text COLLATE "C",
  named     boolean NOT NULL,
  parent_id text COLLATE "C",
  doc       json    NOT NULL
);
CREATE INDEX account_name ON account (name_fold);
COMMENT ON TABLE  account IS 'The vendor''s accounts.';
COMMENT ON COLUMN account.id IS 'The CRM''s id.';
COMMENT ON COLUMN account.name IS 'Name.';
COMMENT ON COLUMN account.name_fold IS 'Name in small letters, for searching by its beginning.';
COMMENT ON COLUMN account.domain IS 'Main web domain.';
COMMENT ON COLUMN account.country IS 'ISO 3166-1 alpha-2.';
COMMENT ON COLUMN account.region IS 'ISO 3166-2.';
COMMENT ON COLUMN account.city IS 'City.';
COMMENT ON COLUMN account.status IS 'prospect, customer, former, partner or closed.';
COMMENT ON COLUMN account.owner IS 'Person who looks after it.';
COMMENT ON COLUMN account.named IS 'Reserved to direct sales.';
COMMENT ON COLUMN account.parent_id IS 'Account it is a subsidiary of.';
COMMENT ON COLUMN account.doc IS 'The whole account.';

CREATE TABLE opportunity (
  id           text COLLATE "C" PRIMARY KEY,
  account_id   text COLLATE "C",
  account_name text COLLATE "C",
  name_fold    text COLLATE "C" NOT NULL,
  stage        text COLLATE "C",
  status       text COLLATE "C" NOT NULL,
  led_by       text COLLATE "C" NOT NULL,
  partner_id   text COLLATE "C",
  owner        text COLLATE "C",
  amount       numeric,
  currency     text COLLATE "C",
  doc          json NOT NULL
);
CREATE INDEX opportunity_account ON opportunity (account_id) WHERE account_id IS NOT NULL;
COMMENT ON TABLE  opportunity IS 'The vendor''s sales opportunities.';
COMMENT ON COLUMN opportunity.id IS 'The CRM''s id.';
COMMENT ON COLUMN opportunity.account_id IS 'Account it is with.';
COMMENT ON COLUMN opportunity.account_name IS 'Name of the customer, where it is with no account.';
COMMENT ON COLUMN opportunity.name_fold IS 'Name in small letters, for searching by its beginning.';
COMMENT ON COLUMN opportunity.stage IS 'Stage of the sale.';
COMMENT ON COLUMN opportunity.status IS 'open, won or lost.';
COMMENT ON COLUMN opportunity.led_by IS 'direct or partner.';
COMMENT ON COLUMN opportunity.partner_id IS 'Partner in it.';
COMMENT ON COLUMN opportunity.owner IS 'Person who looks after it.';
COMMENT ON COLUMN opportunity.amount IS 'Amount.';
COMMENT ON COLUMN opportunity.currency IS 'ISO 4217, of amount.';
COMMENT ON COLUMN opportunity.doc IS 'The whole opportunity.';

CREATE TABLE partner (
  id             text COLLATE "C" PRIMARY KEY,
  name           text COLLATE "C" NOT NULL,
  name_fold      text COLLATE "C" NOT NULL,
  type           text COLLATE "C",
  tier           text COLLATE "C",
  status         text COLLATE "C",
  country        text COLLATE "C",
  distributor_id text COLLATE "C",
  doc            json NOT NULL
);
COMMENT ON TABLE  partner IS 'The vendor''s partners.';
COMMENT ON COLUMN partner.id IS 'The PRM''s id.';
COMMENT ON COLUMN partner.name IS 'Name.';
COMMENT ON COLUMN partner.name_fold IS 'Name in small letters, for searching by its beginning.';
COMMENT ON COLUMN partner.type IS 'distributor, reseller, var, si, msp, consultant, marketplace, referral, isv or other.';
COMMENT ON COLUMN partner.tier IS 'Tier of the programme.';
COMMENT ON COLUMN partner.status IS 'active, suspended or terminated.';
COMMENT ON COLUMN partner.country IS 'ISO 3166-1 alpha-2.';
COMMENT ON COLUMN partner.distributor_id IS 'Distributor it buys from.';
COMMENT ON COLUMN partner.doc IS 'The whole partner.';

CREATE TABLE person (
  id        text COLLATE "C" PRIMARY KEY,
  name      text COLLATE "C" NOT NULL,
  name_fold text COLLATE "C" NOT NULL,
  email     text COLLATE "C",
  manager   text COLLATE "C",
  doc       json NOT NULL
);
COMMENT ON TABLE  person IS 'The vendor''s own people.';
COMMENT ON COLUMN person.id IS 'Id others name them by.';
COMMENT ON COLUMN person.name IS 'Name.';
COMMENT ON COLUMN person.name_fold IS 'Name in small letters, for searching by its beginning.';
COMMENT ON COLUMN person.email IS 'Address.';
COMMENT ON COLUMN person.manager IS 'Person who stands in.';
COMMENT ON COLUMN person.doc IS 'The whole person.';

CREATE TABLE product (
  id        text COLLATE "C" PRIMARY KEY,
  name_fold text COLLATE "C" NOT NULL,
  line      text COLLATE "C" NOT NULL,
  class     text COLLATE "C",
  core      boolean NOT NULL,
  doc       json    NOT NULL
);
COMMENT ON TABLE  product IS 'The catalogue.';
COMMENT ON COLUMN product.id IS 'SKU.';
COMMENT ON COLUMN product.name_fold IS 'SKU in small letters, for searching by its beginning.';
COMMENT ON COLUMN product.line IS 'Product line: what protections are about.';
COMMENT ON COLUMN product.class IS 'Class of the product.';
COMMENT ON COLUMN product.core IS 'Part of the core business.';
COMMENT ON COLUMN product.doc IS 'The whole product.';

CREATE TABLE rate (
  id            text COLLATE "C" PRIMARY KEY,
  name_fold     text COLLATE "C" NOT NULL,
  date          date    NOT NULL,
  from_currency text COLLATE "C" NOT NULL,
  to_currency   text COLLATE "C" NOT NULL,
  rate          numeric NOT NULL,
  doc           json    NOT NULL
);
COMMENT ON TABLE  rate IS 'Exchange rates.';
COMMENT ON COLUMN rate.id IS 'Date and currencies.';
COMMENT ON COLUMN rate.name_fold IS 'Both currencies in small letters.';
COMMENT ON COLUMN rate.date IS 'Day from which it holds.';
COMMENT ON COLUMN rate.from_currency IS 'ISO 4217.';
COMMENT ON COLUMN rate.to_currency IS 'ISO 4217.';
COMMENT ON COLUMN rate.rate IS 'How much of to_currency one of from_currency is.';
COMMENT ON COLUMN rate.doc IS 'The whole rate.';

CREATE TABLE document (
  kind    text COLLATE "C" NOT NULL,
  version integer NOT NULL CHECK (version > 0),
  name    text COLLATE "C" NOT NULL,
  digest  text COLLATE "C" NOT NULL,
  status  text COLLATE "C" NOT NULL,
  doc     json    NOT NULL,
  PRIMARY KEY (kind, version)
);
CREATE UNIQUE INDEX document_live ON document (kind) WHERE status = 'live';
COMMENT ON TABLE  document IS 'Policies, territory plans and the ledger''s signing keys, every version as written.';
COMMENT ON COLUMN document.kind IS 'What it is.';
COMMENT ON COLUMN document.version IS 'Version, from 1.';
COMMENT ON COLUMN document.name IS 'Its name.';
COMMENT ON COLUMN document.digest IS 'sha256: and the digest of its text.';
COMMENT ON COLUMN document.status IS 'draft, live or retired; one of a kind is live.';
COMMENT ON COLUMN document.doc IS 'The document with its text.';

CREATE TABLE api_key (
  id         text COLLATE "C" PRIMARY KEY,
  role       text COLLATE "C" NOT NULL,
  created_at timestamptz NOT NULL,
  revoked_at timestamptz,
  doc        json        NOT NULL
);
COMMENT ON TABLE  api_key IS 'API keys; of their secrets only a digest is kept.';
COMMENT ON COLUMN api_key.id IS 'key_ and a ULID.';
COMMENT ON COLUMN api_key.role IS 'portal, ops, policy, auditor or admin.';
COMMENT ON COLUMN api_key.created_at IS 'When it was made.';
COMMENT ON COLUMN api_key.revoked_at IS 'When it was revoked; NULL while it is good.';
COMMENT ON COLUMN api_key.doc IS 'The whole key.';

CREATE TABLE snapshot (
  digest bytea       PRIMARY KEY CHECK (octet_length(digest) = 32),
  seq    bigint      NOT NULL REFERENCES entry,
  chain  bytea       NOT NULL,
  format text COLLATE "C" NOT NULL,
  bytes  bigint      NOT NULL CHECK (bytes >= 0),
  at     timestamptz NOT NULL
);
COMMENT ON TABLE  snapshot IS 'Published pictures of the accounts and their index: what a replica may believe of the bytes it finds elsewhere. Not a part of the ledger.';
COMMENT ON COLUMN snapshot.digest IS 'SHA-256 of the bytes.';
COMMENT ON COLUMN snapshot.seq IS 'Entry it is the picture after.';
COMMENT ON COLUMN snapshot.chain IS 'Hash chain of that entry.';
COMMENT ON COLUMN snapshot.format IS 'What can read it.';
COMMENT ON COLUMN snapshot.bytes IS 'Its size.';
COMMENT ON COLUMN snapshot.at IS 'When it was published.';

CREATE UNLOGGED TABLE snapshot_chunk (
  digest bytea   NOT NULL CHECK (octet_length(digest) = 32),
  i      integer NOT NULL CHECK (i >= 0),
  body   bytea   NOT NULL,
  PRIMARY KEY (digest, i)
);
ALTER TABLE snapshot_chunk ALTER body SET STORAGE EXTERNAL; -- dense already
COMMENT ON TABLE  snapshot_chunk IS 'The bytes of a picture of the accounts and their index, for a start without Redis. Not logged: a crash or a failover empties it, and it is written anew.';
COMMENT ON COLUMN snapshot_chunk.digest IS 'The snapshot.';
COMMENT ON COLUMN snapshot_chunk.i IS 'Which piece: 0 says what the others are.';
COMMENT ON COLUMN snapshot_chunk.body IS 'Up to a mebibyte.';

-- lz4 costs half of what pglz does. A server built without it goes on with pglz.
-- +goose StatementBegin
DO $$
BEGIN
  EXECUTE 'ALTER TABLE entry ALTER body SET COMPRESSION lz4, ALTER answer SET COMPRESSION lz4';
  EXECUTE 'ALTER TABLE registration ALTER doc SET COMPRESSION lz4';
  EXECUTE 'ALTER TABLE event ALTER body SET COMPRESSION lz4';
EXCEPTION WHEN feature_not_supported OR syntax_error THEN
  RAISE NOTICE 'lz4 is not available: bodies are compressed with pglz';
END $$;
-- +goose StatementEnd

-- +goose Down
DROP TABLE snapshot_chunk, snapshot, api_key, document, rate, product, person, partner, opportunity, account, escalation, decision, holder, registration, event, node, personal, entry, head;
