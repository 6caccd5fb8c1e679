-- +goose Up

ALTER TABLE escalation ADD COLUMN kind text;
ALTER TABLE escalation ADD COLUMN partner_id text;
ALTER TABLE escalation ADD COLUMN reason text;
-- What there is to do, what is due first in front.
CREATE INDEX escalation_status ON escalation (status, due_at);
-- Those alike in reason, the latest first.
CREATE INDEX escalation_reason ON escalation (reason, version);
-- What has happened to one thing. Decisions, which are most entries, are found by their own table.
CREATE INDEX entry_subject ON entry (subject, seq) WHERE kind <> 'registration.decided';

-- +goose Down
DROP INDEX entry_subject; DROP INDEX escalation_reason; DROP INDEX escalation_status;
ALTER TABLE escalation DROP COLUMN reason; ALTER TABLE escalation DROP COLUMN partner_id; ALTER TABLE escalation DROP COLUMN kind;
