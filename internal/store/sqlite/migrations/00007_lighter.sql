-- +goose Up

-- Nobody asks for registrations by this.
DROP INDEX registration_customer;

-- +goose Down
CREATE INDEX registration_customer ON registration (customer_key, id);
