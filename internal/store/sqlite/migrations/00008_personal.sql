-- +goose Up

-- The pieces of personal data of an entry, in the order of its commitments, are one row: field, such as contact.email; salt, the key of the commitment, in
-- hexadecimal; value. Erasing takes salt and value out of doc.
ALTER TABLE personal RENAME TO personal_rows;
CREATE TABLE personal (
  seq integer PRIMARY KEY REFERENCES entry,
  doc text    NOT NULL
) STRICT;
INSERT INTO personal SELECT seq, json_group_array(json_patch('{}', json_object('field', field, 'salt', lower(hex(salt)), 'value', value)) ORDER BY n) FROM personal_rows GROUP BY seq;
DROP TABLE personal_rows;

-- +goose Down
ALTER TABLE personal RENAME TO personal_docs;
CREATE TABLE personal (
  seq   integer NOT NULL REFERENCES entry,
  n     integer NOT NULL,
  field text    NOT NULL,
  salt  blob,
  value text,
  PRIMARY KEY (seq, n)
) STRICT, WITHOUT ROWID;
INSERT INTO personal SELECT seq, key, value->>'field', unhex(value->>'salt'), value->>'value' FROM personal_docs, json_each(doc);
DROP TABLE personal_docs;
