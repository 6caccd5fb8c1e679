// Package deal is the vocabulary of dibs: what a partner files, what the vendor knows, and what is decided.
//
// It holds types, their closed value lists and their validation, and nothing that matches, decides, stores or
// serves. It imports nothing else of this module. Times are UTC; money is decimal with its currency; the JSON form
// of these types is what the ledger's entries and the store's documents hold, so fields are added, never renamed.
package deal
