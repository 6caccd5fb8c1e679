-- +goose Up

CREATE TABLE finding (
  id           text COLLATE "C" PRIMARY KEY,
  verdict      text COLLATE "C" NOT NULL,
  subject_key  text COLLATE "C" NOT NULL,
  other_key    text COLLATE "C" NOT NULL,
  until        timestamptz,
  withdrawn_at timestamptz,
  version      bigint           NOT NULL REFERENCES entry,
  doc          json             NOT NULL
);
CREATE INDEX finding_subject ON finding (subject_key);
CREATE INDEX finding_other ON finding (other_key);
COMMENT ON TABLE  finding IS 'What people have found of two organisations: that they are one, or that they are not.';
COMMENT ON COLUMN finding.id IS 'find_ and a ULID.';
COMMENT ON COLUMN finding.verdict IS 'same or different.';
COMMENT ON COLUMN finding.subject_key IS 'Customer it is about, as customer_key of registration.';
COMMENT ON COLUMN finding.other_key IS 'The other; of two that are one, who both are.';
COMMENT ON COLUMN finding.until IS 'It says nothing any more from then on.';
COMMENT ON COLUMN finding.withdrawn_at IS 'When it was taken back.';
COMMENT ON COLUMN finding.version IS 'Entry that last changed it.';
COMMENT ON COLUMN finding.doc IS 'The whole finding.';

-- +goose Down
DROP TABLE finding;
