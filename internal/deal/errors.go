package deal

import (
	"errors"
	"fmt"
	"strings"
)

// Errors by meaning. A caller tests with errors.Is; the server maps each to one HTTP status.
var (
	// ErrNotFound: no such thing, or none this caller may see. The two are not told apart.
	ErrNotFound = errors.New("not found")
	// ErrKeyReused: the Idempotency-Key was used before with another request.
	ErrKeyReused = errors.New("this Idempotency-Key was used for a different request; send a new key")
	// ErrNotPossible: the state of the thing does not allow this; the error's text says what is possible.
	ErrNotPossible = errors.New("not possible in this state")
	// ErrStale: the caller's version is not the current one.
	ErrStale = errors.New("changed meanwhile; read it again")
	// ErrUnavailable: no answer can be given now, and none was recorded that the caller may rely on. Retry with the
	// same Idempotency-Key.
	ErrUnavailable = errors.New("temporarily unavailable; retry with the same Idempotency-Key")
	// ErrForbidden: the caller's role does not allow this.
	ErrForbidden = errors.New("not allowed for this role")
)

// FieldError is one thing wrong with one field of an input.
type FieldError struct {
	Field  string `json:"field"`  // path in the caller's own words: customer.country, products[2].amount.value
	Detail string `json:"detail"` // what is wrong and what to send instead
}

// FieldErrors is everything wrong with an input. It is an error when it is not empty.
type FieldErrors []FieldError

func (e FieldErrors) Error() string {
	parts := make([]string, len(e))
	for i, f := range e {
		parts[i] = f.Field + ": " + f.Detail
	}
	return strings.Join(parts, "; ")
}

// Add records that field is wrong.
func (e *FieldErrors) Add(field, format string, args ...any) {
	*e = append(*e, FieldError{Field: field, Detail: fmt.Sprintf(format, args...)})
}

// Err returns e as an error, or nil when nothing is wrong.
func (e FieldErrors) Err() error {
	if len(e) == 0 {
		return nil
	}
	return e
}
