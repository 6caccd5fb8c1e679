// Package chaos proves that many replicas give one answer.
//
// A round starts a fresh database and several real dibs processes on it, lets partners register the same customers
// under different spellings on all of them at once, and breaks what can break meanwhile: processes die at each step of
// a commit, freeze while they hold the head, lose the database or the cache, and disagree on the time. Every call is
// recorded. Then checkers that share nothing with the service's own code compare what the clients were told with what
// the database holds: nothing acknowledged is lost or changed, a customer has one holder at any instant, and the order
// of the ledger is one the clients could have seen.
//
// A harness that has caught nothing proves nothing: mutants.go holds seeded bugs of the service, and each must be
// caught. protocol.pml is the protocol alone, for the model checker spin. README.md has the results and the commands.
package chaos
