-- +goose Up

ALTER TABLE entry ADD COLUMN person_id text COLLATE "C" CHECK (person_id <> '');
COMMENT ON COLUMN entry.person_id IS 'Person who acted with the key; null where none is named.';

-- +goose Down
ALTER TABLE entry DROP COLUMN person_id;
