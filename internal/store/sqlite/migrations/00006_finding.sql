-- +goose Up

-- What people have found of two organisations: that they are one, or that they are not.
CREATE TABLE finding (
  id           text PRIMARY KEY,
  verdict      text    NOT NULL,
  subject_key  text    NOT NULL,
  other_key    text    NOT NULL,
  until        integer,
  withdrawn_at integer,
  version      integer NOT NULL REFERENCES entry,
  doc          text    NOT NULL
) STRICT;
CREATE INDEX finding_subject ON finding (subject_key);
CREATE INDEX finding_other ON finding (other_key);

-- +goose Down
DROP TABLE finding;
