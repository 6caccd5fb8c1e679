package policy

import "github.com/dibs-deals/dibs/internal/document"

// Error is one thing wrong with a document: Line, Column, Path and Message.
type Error = document.Error

// Errors is everything wrong with a document, in the order of the text. It is what Compile returns.
type Errors = document.Errors
