-- +goose Up

-- The person who acted with the key. Entries from before name none.
ALTER TABLE entry ADD COLUMN person_id text;

-- +goose Down
ALTER TABLE entry DROP COLUMN person_id;
