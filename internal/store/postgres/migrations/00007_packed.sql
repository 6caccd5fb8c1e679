-- +goose Up

-- Bodies are packed before they come here (encoding), and a row of about 3 kB stays in its table: in a table of its own, a body was most of what a
-- commit and a replica that follows cost the server.
ALTER TABLE entry ALTER body SET STORAGE EXTERNAL;
ALTER TABLE entry SET (toast_tuple_target = 4080);
COMMENT ON COLUMN entry.encoding IS 'Of body: 0 plain, 1 zstd, 2 S2 over the dictionary of dibs.';

-- +goose Down
COMMENT ON COLUMN entry.encoding IS 'Of body: 0 plain, 1 zstd.';
ALTER TABLE entry RESET (toast_tuple_target);
ALTER TABLE entry ALTER body SET STORAGE EXTENDED;
