-- +goose Up

-- What happened to a registration or a case, in order.
CREATE INDEX entry_subject ON entry (subject, seq);

-- +goose Down
DROP INDEX entry_subject;
