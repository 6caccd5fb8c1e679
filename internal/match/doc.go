// Package match is record linkage for organisations: it says whether two descriptions of a customer describe one
// organisation, how sure that is, and why, and it finds the candidates among millions of records in well under a
// millisecond.
//
// A Record is what somebody wrote. A Model prepares it: folds case, accents and scripts, splits names at "doing
// business as", parses the legal form, and weighs every word by how many real organisations carry it. Model.Judge
// compares two prepared records and adds up named terms of evidence in log-odds; what is missing weighs nothing. An
// Index finds the records worth judging.
//
// Promises:
//   - A search is a pure function of the model, the set of live records, the query and the options. The order in which
//     records arrived, how they are laid out in segments, and which goroutine merged them when, never show. Decisions
//     are recorded with their candidates and derived again on other replicas, so this is what everything rests on.
//   - What a search leaves unread cannot have been a candidate: bounds on what a record can still gain decide that, and never
//     the time it took.
//   - A judgement explains itself: its terms add up to the log-odds it rests on, and each says in words what it saw.
//   - The model is data: embedded, versioned and named by a digest that decisions record.
//
// The parts: fold.go folds text, name.go says what words are and lexicon.go remembers it, read.go reads records, field.go reads the other fields, likeness.go compares two names, weights.go
// lists what a judgement is the sum of, judge.go weighs evidence and puts it in words, kin.go tells
// relatives from strangers, segment.go lays records out,
// index.go keeps segments, around.go finds the words near one, search.go finds candidates, refresh.go brings an answer up to date, train.go fits the
// weights, fit.go those of a vendor from these on. The method is that of Fellegi and Sunter (1969), the additive evidence of probabilistic linkage, with soft
// word matching weighted by inverse document frequency; misspellings are found by symmetric deletion over the
// vocabulary and verified by edit distance.
//
// The files in model/ are the model. Two are written for this package; tools/matchdata makes the word lists from
// published ones, and tools/matchfit fits weights.json to labelled searches.
package match
