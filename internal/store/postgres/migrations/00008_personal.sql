-- +goose Up

-- A registration has five pieces of personal data, and each was a row: a seventh of what a commit cost the server. The pieces of an entry are one row now.
ALTER TABLE personal RENAME TO personal_rows;
CREATE TABLE personal (
  seq bigint NOT NULL,
  doc text   NOT NULL
);
INSERT INTO personal SELECT seq, json_agg(json_strip_nulls(json_build_object('field', field, 'salt', encode(salt, 'hex'), 'value', value)) ORDER BY n)::text FROM personal_rows GROUP BY seq;
DROP TABLE personal_rows;
ALTER TABLE personal ADD PRIMARY KEY (seq);
COMMENT ON TABLE  personal IS 'Personal data, apart from what is hashed: the leaf holds a commitment. Erasing takes salt and value out of doc.';
COMMENT ON COLUMN personal.seq IS 'Entry it belongs to.';
COMMENT ON COLUMN personal.doc IS 'The pieces, as JSON, in the order of the entry''s commitments: field, such as contact.email; salt, the key of the commitment, in hexadecimal; value.';

-- Written with the rows they refer to, and derived again by an audit, as those of 00006. Nobody asks for decisions by their id.
ALTER TABLE holder DROP CONSTRAINT holder_registration_id_fkey;
ALTER TABLE decision DROP CONSTRAINT decision_id_key;

-- +goose Down
ALTER TABLE decision ADD UNIQUE (id);
ALTER TABLE holder ADD FOREIGN KEY (registration_id) REFERENCES registration;
ALTER TABLE personal RENAME TO personal_docs;
CREATE TABLE personal (
  seq   bigint  NOT NULL,
  n     integer NOT NULL CHECK (n >= 0),
  field text COLLATE "C" NOT NULL,
  salt  bytea,
  value text COLLATE "C"
);
INSERT INTO personal SELECT seq, n - 1, p->>'field', decode(p->>'salt', 'hex'), p->>'value' FROM personal_docs, json_array_elements(doc::json) WITH ORDINALITY AS d(p, n);
DROP TABLE personal_docs;
ALTER TABLE personal ADD PRIMARY KEY (seq, n);
