-- +goose Up

ALTER TABLE escalation ADD COLUMN kind text COLLATE "C", ADD COLUMN partner_id text COLLATE "C", ADD COLUMN reason text COLLATE "C";
COMMENT ON COLUMN escalation.kind IS 'escalation or appeal.';
COMMENT ON COLUMN escalation.partner_id IS 'Registrant of what it is about.';
COMMENT ON COLUMN escalation.reason IS 'The deciding reason code of what opened it.';
CREATE INDEX escalation_reason ON escalation (reason, version);
COMMENT ON INDEX escalation_reason IS 'Those alike in reason, the latest first.';
CREATE INDEX escalation_status ON escalation (status, due_at);
COMMENT ON INDEX escalation_status IS 'What there is to do, what is due first in front.';
CREATE INDEX entry_subject ON entry (subject, seq) WHERE kind <> 'registration.decided';
COMMENT ON INDEX entry_subject IS 'What has happened to one thing. Decisions, which are most entries, are found by their own table.';

-- +goose Down
DROP INDEX entry_subject; DROP INDEX escalation_reason; DROP INDEX escalation_status;
ALTER TABLE escalation DROP COLUMN reason, DROP COLUMN partner_id, DROP COLUMN kind;
